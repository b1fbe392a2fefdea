package ec2

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/billow-cloud/billow/cloud"
)

// VolumeNotification is EBS's event about what became of a volume, for EventBridge. Root volumes have none: they are their
// instance's own disk.
type VolumeNotification struct {
	ID            string
	Event, Result string // "createVolume", "available"
	Cause         string // of a failure
	At            time.Time
}

// Told names the source and the detail-type.
func (VolumeNotification) Told() (source, detailType string) {
	return "aws.ec2", "EBS Volume Notification"
}

// Detail gives the ARN of the volume and what becomes the JSON of the event's detail.
func (e VolumeNotification) Detail(scope cloud.Scope) (resources []string, detail any) {
	return []string{scope.ARN(Name, "volume/"+e.ID)}, struct {
		Result    string `json:"result"`
		Cause     string `json:"cause"`
		Event     string `json:"event"`
		RequestID string `json:"request-id"`
	}{e.Result, e.Cause, e.Event, requestID(e.ID, e.Event, e.Result, e.At.String())}
}

// requestID makes up the ID of the request behind an event, always the same for an event.
func requestID(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p + "\n"))
	}
	text := hex.EncodeToString(h.Sum(nil))
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:32]
}

// SnapshotNotification is EBS's event about a snapshot that is complete, or failed, for EventBridge.
type SnapshotNotification struct {
	ID, Event            string // "createSnapshot" or "copySnapshot"
	Failure              string // why it failed; empty: it succeeded
	Source, SourceRegion string // "volume/vol-..." or "snapshot/snap-..."
	Began, Ended         time.Time
}

// Told names the source and the detail-type.
func (SnapshotNotification) Told() (source, detailType string) {
	return "aws.ec2", "EBS Snapshot Notification"
}

// Detail gives the ARN of the snapshot, which as in AWS names no account, and the event's detail.
func (e SnapshotNotification) Detail(scope cloud.Scope) (resources []string, detail any) {
	arn := func(region, what string) string { return "arn:aws:ec2::" + region + ":" + what }
	d := struct {
		Event        string `json:"event"`
		Result       string `json:"result"`
		Cause        string `json:"cause"`
		RequestID    string `json:"request-id"`
		SnapshotID   string `json:"snapshot_id"`
		Source       string `json:"source"`
		StartTime    string `json:"startTime"`
		EndTime      string `json:"endTime"`
		Incremental  string `json:"incremental,omitempty"`
		TransferType string `json:"transferType,omitempty"`
	}{
		Event: e.Event, Result: "succeeded", SnapshotID: arn(scope.Region, "snapshot/"+e.ID), Source: arn(e.SourceRegion, e.Source),
		StartTime: e.Began.UTC().Format(time.RFC3339), EndTime: e.Ended.UTC().Format(time.RFC3339),
	}
	if e.Failure != "" {
		d.Result, d.Cause = "failed", e.Failure
	}
	if e.Event == "copySnapshot" {
		d.Incremental, d.TransferType = "true", "standard" // a copy shares its source's content
	}
	return []string{d.SnapshotID}, d
}

// tellVolume tells EventBridge what became of a volume.
func (s *Service) tellVolume(tx *cloud.Tx, id, event, result, cause string) {
	tx.Emit(Name, VolumeNotification{ID: id, Event: event, Result: result, Cause: cause, At: tx.Now()})
}
