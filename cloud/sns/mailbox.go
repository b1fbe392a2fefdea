package sns

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud"
)

// Mail is the row of a mail that would have been sent: what is for mail addresses is read with `billow mailbox`. An
// account's mails are numbered.
type Mail struct {
	ID       string // the number
	At       time.Time
	To, From string
	Subject  string
	Body     string
	TopicARN string
	// Token confirms the subscription, in a mail that asks for it.
	Token string `json:",omitempty"`
}

// maxMails is how many mails are kept, of all accounts: the oldest go first.
const maxMails = 1000

// mail writes a message, or the request to confirm, to a mail address.
func (s *Service) mail(tx *cloud.Tx, sub *Subscription, m *Message) {
	number, _ := s.numbers.Get(tx, "mail")
	number++
	s.numbers.Put(tx, "mail", number)
	x := Mail{ID: strconv.FormatInt(number, 10), At: m.At, To: sub.Endpoint, From: s.sender(tx, sub), Subject: cmp.Or(m.Subject, "AWS Notification Message"), TopicARN: sub.TopicARN}
	if m.Type == typeConfirmation {
		x.Subject, x.Token = "AWS Notification - Subscription Confirmation", sub.Token
	}
	switch {
	case sub.Protocol == "email-json":
		_, x.Body = s.envelope(sub, m)
	case m.Type == typeConfirmation:
		x.Body = "You have chosen to subscribe to the topic: \n" + sub.TopicARN + "\n\nTo confirm this subscription, click or visit the link below " +
			"(If this was in error no action is necessary): \n" + s.subscribeURL(sub) + "\n"
	default:
		x.Body = m.Text + "\n\n--\nIf you wish to stop receiving notifications from this topic, please click or visit the link below to unsubscribe:\n" +
			s.unsubscribeURL(sub) + "\n"
	}
	s.mails.Put(tx, fmt.Sprintf("%012d", number), x)
	if s.mails.Len() > maxMails {
		for key := range s.mails.All(tx) {
			s.mails.Delete(tx, key)
			break
		}
	}
}

// sender is who a topic's mails are from.
func (s *Service) sender(tx *cloud.Tx, sub *Subscription) string {
	name := "AWS Notifications"
	if t, err := s.topic(tx, sub.TopicARN); err == nil {
		name = cmp.Or(get(t.Attributes, "DisplayName"), name)
	}
	return name + " <no-reply@sns.amazonaws.com>"
}

// MailsInput asks for mails: all, those to an address, or the one with an ID.
type MailsInput struct{ To, ID string }

// MailsOutput has the mails, oldest first.
type MailsOutput struct{ Mails []Mail }

// Mails is the internal operation behind `billow mailbox`.
func (s *Service) Mails(tx *cloud.Tx, in *MailsInput) (*MailsOutput, error) {
	out := &MailsOutput{Mails: []Mail{}}
	for _, m := range s.mails.All(tx) {
		if (in.To == "" || strings.EqualFold(m.To, in.To)) && (in.ID == "" || m.ID == in.ID) {
			out.Mails = append(out.Mails, m)
		}
	}
	if in.ID != "" && len(out.Mails) == 0 {
		return nil, api.Errorf("NotFound", "There is no mail %s.", in.ID)
	}
	return out, nil
}
