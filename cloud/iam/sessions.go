package iam

import (
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud"
)

const (
	// forget is how long the keys of a session that has ended are still known to have expired.
	forget = 24 * time.Hour
	// refresh is what is left of a session when Session makes the next one (EC-MD-05).
	refresh = 5 * time.Minute
	// useStep is how exactly it is known when a key was last used.
	useStep = 15 * time.Minute
)

// Credentials are temporary keys.
type Credentials struct {
	AccessKeyID, SecretAccessKey, SessionToken string
	Made, Expiration                           time.Time
}

// Role finds a role by its name or ARN; an ARN's account need not be tx's.
func (s *Service) Role(tx *cloud.Tx, nameOrARN string) (r Role, ok bool) {
	account, name := accountAndName(tx, nameOrARN, "role/")
	tx.In(Home(account), func() { r, ok = s.roles.Get(tx, key(name)) })
	return r, ok && (name == nameOrARN || r.ARN == nameOrARN)
}

// InstanceProfile is a profile, with its role, as EC2 needs it.
type InstanceProfile struct{ Name, ARN, ID, RoleName, RoleARN string }

// InstanceProfile finds an instance profile by its name or ARN.
func (s *Service) InstanceProfile(tx *cloud.Tx, nameOrARN string) (out InstanceProfile, ok bool) {
	account, name := accountAndName(tx, nameOrARN, "instance-profile/")
	tx.In(Home(account), func() {
		p, found := s.profiles.Get(tx, key(name))
		if ok = found && (name == nameOrARN || p.ARN == nameOrARN); !ok {
			return
		}
		out = InstanceProfile{Name: p.Name, ARN: p.ARN, ID: p.ID}
		if r, has := s.roles.Get(tx, p.Role); has && p.Role != "" {
			out.RoleName, out.RoleARN = r.Name, r.ARN
		}
	})
	return out, ok
}

// accountAndName takes an ARN of IAM apart; a name is of tx's account.
func accountAndName(tx *cloud.Tx, nameOrARN, kind string) (account, name string) {
	rest, isARN := strings.CutPrefix(nameOrARN, "arn:aws:iam::")
	if !isARN {
		return tx.Scope.Account, nameOrARN
	}
	account, resource, _ := strings.Cut(rest, ":")
	path, ok := strings.CutPrefix(resource, kind)
	if !ok {
		return account, ""
	}
	return account, path[strings.LastIndexByte(path, '/')+1:]
}

// Session gives out credentials of a role for something of this cloud, such as an instance. They are kept by role and
// session name: the same ones are given out until five minutes of them are left, or a quarter (EC-MD-05). Whether the
// role trusts whoever it is for is for the caller to ask (Trusts).
func (s *Service) Session(tx *cloud.Tx, roleARN, sessionName string, life time.Duration) (c Credentials, err error) {
	r, ok := s.Role(tx, roleARN)
	if !ok {
		return c, missing("The role %s cannot be found.", roleARN)
	}
	if c, ok = s.Given(tx, roleARN, sessionName); ok {
		if left := c.Expiration.Sub(tx.Now()); left > refresh && left > c.Expiration.Sub(c.Made)/4 {
			return c, nil
		}
	}
	account, _ := accountAndName(tx, r.ARN, "role/")
	tx.In(Home(account), func() {
		x := s.begin(tx, Session{Kind: cloud.KindRole, Role: key(r.Name), RoleID: r.ID, Name: sessionName}, life)
		s.currents.Put(tx, x.currentKey(), x.AccessKey)
		c = x.credentials()
	})
	return c, nil
}

// Given is what Session gave out last, however little of it is left; nothing if it is over or the role has been made anew.
func (s *Service) Given(tx *cloud.Tx, roleARN, sessionName string) (c Credentials, ok bool) {
	r, there := s.Role(tx, roleARN)
	if !there {
		return c, false
	}
	account, _ := accountAndName(tx, r.ARN, "role/")
	tx.In(Home(account), func() {
		id, _ := s.currents.Get(tx, Session{Role: key(r.Name), Name: sessionName}.currentKey())
		x, known := s.sessions.Get(tx, id)
		c, ok = x.credentials(), known && x.RoleID == r.ID && x.Expires.After(tx.Now())
	})
	return c, ok
}

// begin makes a session's keys and keeps it.
func (s *Service) begin(tx *cloud.Tx, x Session, life time.Duration) Session {
	x.AccessKey, x.Secret = uniqueID(tx, "ASIA", 16), text(tx, secretDigits, 40)
	x.Token = "IQoJb3JpZ2luX2Vj" + text(tx, secretDigits[:62], 240)
	x.Made = tx.Now()
	x.Expires = x.Made.Add(life).Truncate(time.Second)
	s.sessions.Put(tx, x.AccessKey, x)
	tx.At(Name, kindSession, x.AccessKey, x.Expires.Add(forget))
	return x
}

func (x Session) credentials() Credentials {
	return Credentials{x.AccessKey, x.Secret, x.Token, x.Made, x.Expires}
}

// KeyInput asks what is known of an access key.
type KeyInput struct{ AccessKey string }

// KeyOutput is what is known of an access key, for whoever checks a signature.
type KeyOutput struct {
	Secret  string
	Token   string // must come with the signature; empty: none may
	Expired bool
	Caller  cloud.Caller
}

// Key finds out whose an access key is. It is an internal operation, "access-key": calls are made with the Caller that it
// gives.
func (s *Service) Key(tx *cloud.Tx, in *KeyInput) (*KeyOutput, error) {
	unknown := api.Errorf("InvalidClientTokenId", "The security token included in the request is invalid.")
	if scope, k, ok := s.keyIDs.Find(in.AccessKey); ok {
		out := &KeyOutput{Secret: k.Secret}
		tx.In(scope, func() {
			u, _ := s.users.Get(tx, k.User)
			out.Caller = cloud.Caller{Kind: cloud.KindUser, Account: scope.Account, ARN: u.ARN, ID: u.ID, Key: k.ID}
		})
		if !k.Active {
			return nil, unknown
		}
		return out, nil
	}
	scope, x, ok := s.sessionIDs.Find(in.AccessKey)
	if !ok {
		return nil, unknown
	}
	out := &KeyOutput{Secret: x.Secret, Token: x.Token, Expired: !tx.Now().Before(x.Expires)}
	tx.In(scope, func() { ok = s.sessionCaller(tx, x, &out.Caller) })
	if !ok {
		return nil, unknown
	}
	return out, nil
}

// sessionCaller says whose a session is; not ok if its role or user has gone.
func (s *Service) sessionCaller(tx *cloud.Tx, x Session, c *cloud.Caller) bool {
	account := tx.Scope.Account
	switch x.Kind {
	case cloud.KindRoot:
		*c = cloud.Root(account)
	case cloud.KindUser:
		u, ok := s.users.Get(tx, x.User)
		if !ok {
			return false
		}
		*c = cloud.Caller{Kind: x.Kind, Account: account, ARN: u.ARN, ID: u.ID}
	default:
		r, ok := s.roles.Get(tx, x.Role)
		if !ok || r.ID != x.RoleID {
			return false
		}
		*c = cloud.Caller{Kind: x.Kind, Account: account, ARN: sessionARN(account, r.Name, x.Name), ID: r.ID + ":" + x.Name}
	}
	c.Key, c.Session = x.AccessKey, x.AccessKey
	return true
}

func sessionARN(account, role, session string) string {
	return "arn:aws:sts::" + account + ":assumed-role/" + role + "/" + session
}

// Used notes that the caller's key, or role, was used for a service.
func (s *Service) Used(tx *cloud.Tx, service string) {
	c, region, now := tx.Caller, tx.Scope.Region, tx.Now()
	tx.In(Home(c.Account), func() {
		if c.Session == "" {
			if use, ok := s.uses.Get(tx, c.Key); c.Key != "" && (!ok || now.Sub(use.At) >= useStep) {
				s.uses.Put(tx, c.Key, Use{now.Truncate(time.Minute), service, region})
			}
			return
		}
		x, _ := s.sessions.Get(tx, c.Session)
		if r, ok := s.roles.Get(tx, x.Role); ok && x.Role != "" && now.Sub(r.LastUsed) >= useStep {
			r.LastUsed, r.LastRegion = now.Truncate(time.Minute), region
			s.roles.Put(tx, x.Role, r)
		}
	})
}

// caller is the user who makes the call, in a list of one; none if it is no user.
func (s *Service) caller(tx *cloud.Tx) []User {
	if tx.Caller.Kind != cloud.KindUser {
		return nil
	}
	name := tx.Caller.ARN[strings.LastIndexByte(tx.Caller.ARN, '/')+1:]
	u, ok := s.users.Get(tx, key(name))
	if !ok || u.ID != tx.Caller.ID {
		return nil
	}
	return slices.Clone([]User{u})
}
