package main

import (
	"context"
	"fmt"
	"os"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/billow-cloud/billow/cloud/sns"
	"github.com/billow-cloud/billow/daemon"
)

// mailboxCommands show the mails that topics would have sent.
type mailboxCommands struct {
	List mailboxList `cmd:"" help:"List the mails, oldest first."`
	Show mailboxShow `cmd:"" help:"Print a mail."`
}

// mailboxServer is whose mails are shown.
type mailboxServer struct {
	data
	Region string `help:"Region of the topics (default: that of billow env)."`
	JSON   bool   `name:"json" help:"Print everything as JSON."`
}

func (m *mailboxServer) ask(ctx context.Context, in sns.MailsInput) (out sns.MailsOutput, err error) {
	return out, daemon.Ask(ctx, m.Data, m.Region, "mailbox", in, &out)
}

type mailboxList struct {
	mailboxServer
	To string `help:"Only those to this address."`
}

func (m *mailboxList) Run(ctx context.Context) error {
	out, err := m.ask(ctx, sns.MailsInput{To: m.To})
	if err != nil {
		return err
	}
	if m.JSON {
		return printJSON(os.Stdout, out.Mails)
	}
	t := table.NewWriter()
	t.AppendHeader(table.Row{"mail", "time", "to", "subject"})
	for _, x := range out.Mails {
		t.AppendRow(table.Row{x.ID, x.At.Format("2006-01-02 15:04:05"), x.To, x.Subject})
	}
	fmt.Println(t.Render())
	return nil
}

type mailboxShow struct {
	mailboxServer
	ID string `arg:"" help:"Number of the mail."`
}

func (m *mailboxShow) Run(ctx context.Context) error {
	out, err := m.ask(ctx, sns.MailsInput{ID: m.ID})
	if err != nil {
		return err
	}
	x := out.Mails[0]
	if m.JSON {
		return printJSON(os.Stdout, x)
	}
	fmt.Printf("From: %s\nTo: %s\nDate: %s\nSubject: %s\n\n%s", x.From, x.To, x.At.Format("Mon, 02 Jan 2006 15:04:05 -0700"), x.Subject, x.Body)
	return nil
}
