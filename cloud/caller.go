package cloud

// Caller is who makes a call. The zero value is this cloud itself: ticks, facts, and services that act on their own.
type Caller struct {
	Kind    string // KindRoot, KindUser, KindRole; empty is the cloud itself
	Account string
	ARN     string // "arn:aws:iam::123456789012:user/alice", "arn:aws:sts::123456789012:assumed-role/web/i-0123"
	ID      string // "AIDA...", "AROA...:i-0123", for a root its account
	Key     string // the access key that signed; empty if none did
	Session string // Key, if it is that of a session: its rows say whose, and under which session policies
	Address string // that the call came from; empty if it came from nowhere
}

// Kinds of callers.
const (
	KindRoot = "root"
	KindUser = "user"
	KindRole = "role"
)

// Above tells whether the caller is above all policies: an account's root is, and this cloud itself.
func (c Caller) Above() bool { return c.Kind == "" || c.Kind == KindRoot }

// Root is the root of an account.
func Root(account string) Caller {
	return Caller{Kind: KindRoot, Account: account, ARN: "arn:aws:iam::" + account + ":root", ID: account}
}

// Authorizer decides whether the caller of tx may make a call that is about to be carried out; its error, an *api.Error,
// is the answer if not. It is not asked about callers that are above all policies.
type Authorizer func(tx *Tx, c Call) error

// Authorize has a decide on every call from now on. Without it everybody may do everything.
func (c *Cloud) Authorize(a Authorizer) { c.authorize = a }
