package netns

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/billow-cloud/billow/driver"
	"github.com/billow-cloud/billow/driver/netns/keeper"
)

// NoVolumes implements driver.Driver.
func (d *Driver) NoVolumes() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.none
}

// CreateVolume implements driver.Driver.
func (d *Driver) CreateVolume(ctx context.Context, id string, bytes int64, snapshotID string) error {
	return d.do(ctx, &keeper.Request{Op: "create-volume", ID: id, Bytes: bytes, SnapshotID: snapshotID})
}

// DeleteVolume implements driver.Driver.
func (d *Driver) DeleteVolume(ctx context.Context, id string) error {
	return d.do(ctx, &keeper.Request{Op: "delete-volume", ID: id})
}

// AttachVolume implements driver.Driver.
func (d *Driver) AttachVolume(ctx context.Context, id, instanceID, device string) error {
	return d.do(ctx, &keeper.Request{Op: "attach-volume", ID: id, InstanceID: instanceID, Device: device})
}

// DetachVolume implements driver.Driver.
func (d *Driver) DetachVolume(ctx context.Context, id, instanceID string, force bool) error {
	return d.do(ctx, &keeper.Request{Op: "detach-volume", ID: id, InstanceID: instanceID, Force: force})
}

// ResizeVolume implements driver.Driver.
func (d *Driver) ResizeVolume(ctx context.Context, id string, bytes int64) error {
	return d.do(ctx, &keeper.Request{Op: "resize-volume", ID: id, Bytes: bytes})
}

// CreateSnapshot implements driver.Driver.
func (d *Driver) CreateSnapshot(ctx context.Context, id, volumeID string, taken func()) error {
	conn, done, err := d.open(ctx, &keeper.Request{Op: "create-snapshot", ID: id, VolumeID: volumeID})
	if err != nil {
		return err
	}
	defer done()
	reader := json.NewDecoder(conn)
	for {
		var res keeper.Response
		if err := reader.Decode(&res); err != nil {
			return contextual(ctx, fmt.Errorf("the keeper of the instances hung up: %w", err))
		}
		if !res.Started {
			return res.Error.Err()
		}
		taken()
	}
}

// DeleteSnapshot implements driver.Driver.
func (d *Driver) DeleteSnapshot(ctx context.Context, id string) error {
	return d.do(ctx, &keeper.Request{Op: "delete-snapshot", ID: id})
}

// ImportImage implements driver.Driver. The archive goes through a pipe.
func (d *Driver) ImportImage(ctx context.Context, imageID string, config driver.ImageConfig, tar io.Reader) error {
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	defer in.Close()
	conn, done, err := d.open(ctx, &keeper.Request{Op: "import-image", ImageID: imageID, Config: &config}, out)
	out.Close()
	if err != nil {
		return err
	}
	defer done()
	copied := make(chan error, 1)
	go func() {
		_, err := io.Copy(in, tar)
		in.Close() // the keeper reads to the end, whichever it is
		copied <- err
	}()
	var res keeper.Response
	if err := json.NewDecoder(conn).Decode(&res); err != nil {
		return contextual(ctx, fmt.Errorf("the keeper of the instances hung up: %w", err))
	}
	in.Close() // who refuses the archive does not read it to its end
	if err := res.Error.Err(); err != nil {
		return err
	}
	if err := <-copied; err != nil { // what was there looked whole, but was not
		d.DeleteImage(context.WithoutCancel(ctx), imageID)
		return fmt.Errorf("the archive could not be read to its end: %w", err)
	}
	return nil
}
