package cloudwatch

import "time"

// HistoryItem is the row of one thing that happened to an alarm.
type HistoryItem struct {
	AlarmName       string
	AlarmType       string
	Timestamp       time.Time
	HistoryItemType string
	HistorySummary  string
	HistoryData     string
}
