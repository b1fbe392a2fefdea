//go:build !unix

package balancer

// prepareProbe does nothing here: usable does not know.
func (c *backend) prepareProbe() {}
