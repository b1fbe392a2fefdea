package cloudwatch

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/billow-cloud/billow/cloud"
)

// HistoryItem is the row of one thing that happened to an alarm. Its key is the time, so that the oldest come first.
type HistoryItem struct {
	AlarmName       string
	AlarmType       string
	Timestamp       time.Time
	HistoryItemType string
	HistorySummary  string
	HistoryData     string
}

// History is kept for 30 days (CW-AL-11), and not more than so many items of all alarms.
const (
	historyAge   = 30 * 24 * time.Hour
	historyLimit = 100_000
)

// record adds an item, and drops up to two that are too old: the table stays bounded at little cost each time.
func (s *Service) record(tx *cloud.Tx, a *Alarm, kind, summary string, data any) {
	text, err := json.Marshal(data)
	if err != nil {
		panic(err) // data are strings and structs of them
	}
	at := now(tx)
	if s.recorded.tx != tx { // in one step many alarms may change
		s.recorded.tx, s.recorded.n = tx, 0
	}
	key := fmt.Sprintf("%020d-%06d", at.UnixMilli(), s.recorded.n)
	for s.history.Has(tx, key) {
		s.recorded.n++
		key = fmt.Sprintf("%020d-%06d", at.UnixMilli(), s.recorded.n)
	}
	s.history.Put(tx, key, HistoryItem{a.AlarmName, a.kind(), at, kind, summary, string(text)})
	drop := 2
	for id, item := range s.history.All(tx) {
		if drop == 0 || at.Sub(item.Timestamp) < historyAge && s.history.Len() <= historyLimit {
			return
		}
		s.history.Delete(tx, id)
		drop--
	}
}

type stateData struct {
	StateValue      string          `json:"stateValue"`
	StateReason     string          `json:"stateReason"`
	StateReasonData json.RawMessage `json:"stateReasonData,omitempty"`
}

func (a *Alarm) stateData() stateData {
	d := stateData{StateValue: a.StateValue, StateReason: a.StateReason}
	if json.Valid([]byte(a.StateReasonData)) {
		d.StateReasonData = json.RawMessage(a.StateReasonData)
	}
	return d
}

// recordState notes a change of state.
func (s *Service) recordState(tx *cloud.Tx, old, a *Alarm) {
	s.record(tx, a, "StateUpdate", "Alarm updated from "+old.StateValue+" to "+a.StateValue, struct {
		Version  string    `json:"version"`
		OldState stateData `json:"oldState"`
		NewState stateData `json:"newState"`
	}{"1.0", old.stateData(), a.stateData()})
}

// recordAction notes what came of an action.
func (s *Service) recordAction(tx *cloud.Tx, a *Alarm, arn string, failure error) {
	data := struct {
		Version              string  `json:"version"`
		ActionState          string  `json:"actionState"`
		StateUpdateTimestamp int64   `json:"stateUpdateTimestamp"`
		NotificationResource string  `json:"notificationResource"`
		Error                *string `json:"error,omitempty"`
	}{"1.0", "Succeeded", a.StateUpdatedTimestamp.UnixMilli(), arn, nil}
	summary := "Successfully executed action " + arn
	if failure != nil {
		data.ActionState, data.Error = "Failed", new(failure.Error())
		summary = `Failed to execute action ` + arn + `. Received error: "` + failure.Error() + `"`
	}
	s.record(tx, a, "Action", summary, data)
}

// after is the alarm as it is now; as it was if it is gone.
func (a *Alarm) after(tx *cloud.Tx, s *Service) Alarm {
	if now, ok := s.alarms.Get(tx, a.AlarmName); ok {
		return now
	}
	return *a
}

// recordConfiguration notes that an alarm was made, changed or removed: a is what was made, or what was there before.
func (s *Service) recordConfiguration(tx *cloud.Tx, a *Alarm, kind string) {
	verb := map[string]string{"Create": "created", "Update": "updated", "Delete": "deleted"}[kind]
	data := struct {
		Version string `json:"version"`
		Type    string `json:"type"`
		Created *Alarm `json:"createdAlarm,omitempty"`
		Updated *Alarm `json:"updatedAlarm,omitempty"`
		Deleted *Alarm `json:"deletedAlarm,omitempty"`
	}{Version: "1.0", Type: kind}
	switch kind {
	case "Create":
		data.Created = a
	case "Update":
		data.Updated = new(a.after(tx, s))
	case "Delete":
		data.Deleted = a
	}
	tx.Emit(Name, AlarmConfigurationChanged{Alarm: a.after(tx, s), Old: *a, Operation: strings.ToLower(kind)})
	s.record(tx, a, "ConfigurationUpdate", `Alarm "`+a.AlarmName+`" `+verb, data)
}
