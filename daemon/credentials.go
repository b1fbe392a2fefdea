package daemon

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Access is how clients reach and sign for a server: what `billow env` prints. It is kept in the data directory, mode
// 0600; the keys are made at the first start.
type Access struct {
	Endpoint        string
	Region          string
	Account         string
	AccessKeyID     string
	SecretAccessKey string
}

// accessFile is its name in the data directory.
const accessFile = "access.json"

// ReadAccess reads what a server has written to its data directory.
func ReadAccess(dir string) (Access, error) {
	var a Access
	data, err := os.ReadFile(filepath.Join(dir, accessFile))
	if errors.Is(err, fs.ErrNotExist) {
		return a, fmt.Errorf("no server has run with the data directory %s yet; start one with: billow serve --data %s", dir, dir)
	}
	if err == nil {
		err = json.Unmarshal(data, &a)
	}
	if err != nil {
		return a, fmt.Errorf("the keys in %s cannot be read: %w", dir, err)
	}
	return a, nil
}

// openAccess reads the keys, or makes them, and notes the endpoint.
func openAccess(dir, endpoint, account, region string) (Access, error) {
	a, err := ReadAccess(dir)
	if err != nil {
		if _, missing := os.Stat(filepath.Join(dir, accessFile)); !errors.Is(missing, fs.ErrNotExist) {
			return a, err
		}
		a = Access{Account: account, Region: region, AccessKeyID: "AKIA" + base32.StdEncoding.EncodeToString(random(10)), SecretAccessKey: base64.RawStdEncoding.EncodeToString(random(30))}
	}
	if a.Endpoint == endpoint && err == nil {
		return a, nil
	}
	a.Endpoint = endpoint
	data, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return a, err
	}
	// Written beside and renamed, so that a crash leaves the old keys or the new, never half of them.
	temporary := filepath.Join(dir, accessFile+".new")
	f, err := os.OpenFile(temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.Write(append(data, '\n'))
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err == nil {
		err = os.Rename(temporary, filepath.Join(dir, accessFile))
	}
	if err != nil {
		return a, fmt.Errorf("the keys cannot be written: %w", err)
	}
	return a, nil
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails; it ends the process if the system has no random source
	return b
}
