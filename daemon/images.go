package daemon

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/driver"
)

// ImageImport is what an image from outside shall be called and do.
type ImageImport struct {
	Name, Description, Architecture string
	Region                          string // empty: where the root user's calls go
	Config                          driver.ImageConfig
}

// ImportedImage is the answer.
type ImportedImage struct {
	ImageID string
	Bytes   int64 // of the archive
}

// maxImageConfig bounds what comes before the archive.
const maxImageConfig = 1 << 20

// serveImport makes an image of the archive that follows one line of JSON in the body.
func (d *Daemon) serveImport(w http.ResponseWriter, r *http.Request) {
	body := bufio.NewReaderSize(r.Body, maxImageConfig)
	line, err := body.ReadSlice('\n')
	var in ImageImport
	if err == nil {
		err = json.Unmarshal(line, &in)
	}
	if err != nil {
		http.Error(w, "the request is not readable: "+err.Error(), http.StatusBadRequest)
		return
	}
	out, err := d.importImage(r.Context(), in, body)
	if err != nil {
		var said *api.Error
		var known *driver.Error
		switch {
		case errors.As(err, &said):
			err = errors.New(said.Message)
		case errors.As(err, &known):
			err = errors.New(known.Message)
		}
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answerJSON(w, out)
}

// importImage has EC2 note the image, the driver unpack it, and EC2 hear how that ended. An image that could not be made is
// taken away again.
func (d *Daemon) importImage(ctx context.Context, in ImageImport, archive io.Reader) (out ImportedImage, err error) {
	d.resetting.RLock()
	defer d.resetting.RUnlock()
	scope := cloud.Scope{Account: d.access.Account, Region: d.access.Region}
	if in.Region != "" {
		scope.Region = in.Region
	}
	call := func(operation string, in any) (any, error) {
		return d.loop.call(context.WithoutCancel(ctx), cloud.Call{Scope: scope, Service: ec2.Name, Operation: operation, In: in})
	}
	reply, err := call("import-image", &ec2.ImportImageInput{Name: in.Name, Description: in.Description, Architecture: in.Architecture})
	if err != nil {
		return out, err
	}
	out.ImageID = reply.(*ec2.ImportImageOutput).ImageID
	counted := &counter{from: archive}
	if err := d.driver.ImportImage(ctx, out.ImageID, in.Config, counted); err != nil {
		d.loop.observe(ec2.ImageFailed{ImageID: out.ImageID, Message: err.Error()})
		_, undo := call("DeregisterImage", &shape.DeregisterImageInput{ImageId: &out.ImageID})
		return out, errors.Join(err, undo)
	}
	out.Bytes = counted.bytes
	d.loop.observe(ec2.ImageCaptured{ImageID: out.ImageID, Bytes: out.Bytes})
	return out, nil
}

type counter struct {
	from  io.Reader
	bytes int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.bytes += int64(n)
	return n, err
}

// Import has the server that uses a data directory make an image of a root file system, given as a tar archive.
func Import(ctx context.Context, dir string, in ImageImport, archive io.Reader) (out ImportedImage, err error) {
	conn, err := dialSocket(ctx, dir)
	if err != nil {
		return out, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	line, err := json.Marshal(in)
	if err != nil {
		return out, err
	}
	source := &counter{from: archive}
	broken := make(chan error, 1)
	go func() { // an archive that is refused is answered before it is read to its end
		request := &http.Request{
			Method: http.MethodPost, URL: &url.URL{Scheme: "http", Host: "billow", Path: "/image"}, Host: "billow", Close: true,
			Body: io.NopCloser(io.MultiReader(strings.NewReader(string(line)+"\n"), source)), ContentLength: -1,
		}
		if err := request.Write(conn); err != nil {
			broken <- err
			conn.SetReadDeadline(time.Now().Add(5 * time.Second)) // for what the server has to say
		}
	}()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		select {
		case err = <-broken: // the archive itself, most likely
		default:
		}
		return out, fmt.Errorf("the image could not be sent: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(response.Body, maxFrame))
		return out, errors.New(strings.TrimSpace(string(said)))
	}
	return out, json.NewDecoder(response.Body).Decode(&out)
}
