package fuzz

import (
	"math/rand/v2"
	"reflect"
	"regexp"
	"strings"
	"time"
)

// author writes inputs of operations from their models. It learns: whatever a reply or an accepted input called by a
// name, "SubnetId" say, is used again where a member of that name is asked for, so that inputs come to mean something.
type author struct {
	rng      *rand.Rand
	at       func() time.Time
	words    map[string][]string // by name as in known
	service  string              // whose replies are read
	enrolled []member            // of groups
	pair     member              // "@membergroup" and "@memberid" in one form are of one member
	patterns map[string]*regexp.Regexp
}

type member struct{ group, id string }

// wordsKept bounds what is remembered under one name.
const wordsKept = 24

func newAuthor(rng *rand.Rand, at func() time.Time) *author {
	return &author{rng: rng, at: at, words: map[string][]string{}, patterns: map[string]*regexp.Regexp{}}
}

func (a *author) chance(percent int) bool { return a.rng.IntN(100) < percent }

func pick[T any](a *author, of []T) T { return of[a.rng.IntN(len(of))] }

// known is the one name under which names that mean the same are learned: "InstanceIds" and "instanceId", for example.
func known(service, name string) string {
	n := strings.ToLower(name)
	if !strings.HasSuffix(n, "ss") {
		n = strings.TrimSuffix(n, "s")
	}
	switch service {
	case "sts":
		return "iam." + n
	case "iam", "logs", "sqs", "lambda", "events": // what others call so is something else
		return service + "." + n
	}
	switch n {
	case "vpczoneidentifier", "subnet":
		return "subnetid"
	case "securitygroup", "securitygroupid", "groupid":
		return "groupid"
	case "ec2instanceid":
		return "instanceid"
	case "zone", "zonename", "availabilityzone":
		return "availabilityzone"
	case "alarmnameprefix":
		return "alarmname"
	}
	return n
}

func (a *author) learn(name, word string) {
	if word == "" || len(word) > 2000 {
		return
	}
	k := known(a.service, name)
	for _, w := range a.words[k] {
		if w == word {
			return
		}
	}
	if len(a.words[k]) < wordsKept {
		a.words[k] = append(a.words[k], word)
		return
	}
	a.words[k][a.rng.IntN(wordsKept)] = word
}

// read learns from a reply or an input.
func (a *author) read(name string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			a.read(name, v.Elem())
		}
	case reflect.Struct:
		if _, ok := v.Interface().(time.Time); ok {
			return
		}
		for i := range v.NumField() {
			a.read(v.Type().Field(i).Name, v.Field(i))
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Uint8 {
			for i := range min(v.Len(), 10) {
				a.read(name, v.Index(i))
			}
		}
	case reflect.String:
		a.learn(name, v.String())
		if known(a.service, "") != "" {
			return
		}
		if _, id, ok := strings.Cut(v.String(), "-"); ok && (len(id) == 17 || len(id) == 8) || strings.HasPrefix(v.String(), "arn:") {
			a.learn("resource", v.String()) // whatever may be tagged
		}
	}
}
