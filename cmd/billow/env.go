package main

import (
	"fmt"

	"github.com/billow-cloud/billow/daemon"
)

type env struct{ data }

func (e *env) Run() error {
	a, err := daemon.ReadAccess(e.Data)
	if err != nil {
		return err
	}
	for _, v := range [][2]string{
		{"AWS_ENDPOINT_URL", a.Endpoint},
		{"AWS_ACCESS_KEY_ID", a.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", a.SecretAccessKey},
		{"AWS_REGION", a.Region},
		{"AWS_DEFAULT_REGION", a.Region},
	} {
		fmt.Printf("export %s='%s'\n", v[0], v[1])
	}
	return nil
}
