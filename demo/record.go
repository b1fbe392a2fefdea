package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// A recording of the demo is what its server keeps anyhow, in a directory of its own: `billow sim replay DIR` goes through
// it again. Beside it, activities.json holds what the API said of the group at the end.

// record writes the activities that the demo has shown, as `aws autoscaling describe-scaling-activities` prints them.
func (d *demo) record() error {
	if d.options.Record == "" {
		return nil
	}
	text, err := json.MarshalIndent(map[string]any{"Activities": d.state.Activities}, "", "  ")
	if err == nil {
		err = os.MkdirAll(d.options.Record, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(d.options.Record, "activities.json"), append(text, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("the activities could not be kept: %w", err)
	}
	d.say("recorded: billow sim replay %s", d.options.Record)
	return nil
}

// keepRecording copies the recording of a server that has ended.
func (s *server) keepRecording() error {
	if s.record == "" {
		return nil
	}
	segments, err := filepath.Glob(filepath.Join(s.data, "flight", "*.blw"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.record, 0o700); err != nil {
		return err
	}
	for _, segment := range segments {
		if err := copyFile(filepath.Join(s.record, filepath.Base(segment)), segment); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if end := out.Close(); err == nil {
		err = end
	}
	return err
}
