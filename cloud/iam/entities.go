package iam

import (
	"cmp"
	"iter"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/iam"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam/policy"
)

// Quotas of an account, AWS's defaults.
const (
	userQuota        = 5000
	groupQuota       = 300
	roleQuota        = 1000
	profileQuota     = 1000
	policyQuota      = 1500
	keyQuota         = 2
	versionQuota     = 5
	attachedQuota    = 10
	membershipQuota  = 10
	tagQuota         = 50
	managedSize      = 6144
	trustSize        = 2048
	userInlineSize   = 2048
	groupInlineSize  = 5120
	roleInlineSize   = 10240
	sessionSize      = 2048
	defaultSession   = time.Hour
	shortestSession  = 15 * time.Minute
	longestUserToken = 36 * time.Hour
	longestRootToken = time.Hour
)

func missing(format string, args ...any) error { return api.Errorf("NoSuchEntity", format, args...) }

func taken(format string, args ...any) error {
	return api.Errorf("EntityAlreadyExists", format, args...)
}

func conflict(text string) error { return api.Errorf("DeleteConflict", "%s", text) }

func quota(name string, n int) error {
	return api.Errorf("LimitExceeded", "Cannot exceed quota for %s: %d", name, n)
}

func invalid(format string, args ...any) error {
	return api.Errorf("ValidationError", format, args...)
}

// parse checks a policy document that came with a call.
func parse(text string, kind policy.Kind) (*policy.Document, error) {
	d, err := policy.Parse(text, kind)
	if err != nil {
		return nil, api.Errorf("MalformedPolicyDocument", "%s", err.Error())
	}
	return d, nil
}

// encoded is a document as IAM answers with it.
func encoded(document string) *string {
	return new(strings.ReplaceAll(url.QueryEscape(document), "+", "%20"))
}

// entity makes what a new entity has of an entity.
func entity(tx *cloud.Tx, kind, prefix, name string, path *string, tags []shape.Tag) (Entity, error) {
	e := Entity{Name: name, Path: api.Or(path, "/"), Created: tx.Now().Truncate(time.Second)}
	var err error
	if e.Tags, err = tagged(nil, tags); err != nil {
		return e, err
	}
	e.ID, e.ARN = uniqueID(tx, prefix, 17), arnOf(tx, kind, e.Path, name)
	return e, nil
}

func arnOf(tx *cloud.Tx, kind, path, name string) string {
	return "arn:aws:iam::" + tx.Scope.Account + ":" + kind + path + name
}

// tagged puts tags over others.
func tagged(old []Tag, more []shape.Tag) ([]Tag, error) {
	all := slices.Clone(old)
	for i, t := range more {
		k := api.Value(t.Key)
		if strings.HasPrefix(strings.ToLower(k), "aws:") {
			return nil, api.Errorf("InvalidInput", "User cannot modify system tags. aws: prefix is reserved.")
		}
		for _, other := range more[:i] {
			if strings.EqualFold(api.Value(other.Key), k) {
				return nil, api.Errorf("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
			}
		}
		all = slices.DeleteFunc(all, func(o Tag) bool { return strings.EqualFold(o.Key, k) })
		all = append(all, Tag{k, api.Value(t.Value)})
	}
	if len(all) > tagQuota {
		return nil, api.Errorf("LimitExceeded", "The number of tags has reached the maximum limit.")
	}
	slices.SortFunc(all, func(a, b Tag) int { return cmp.Compare(a.Key, b.Key) })
	return all, nil
}

func untagged(old []Tag, keys []string) []Tag {
	return slices.DeleteFunc(slices.Clone(old), func(t Tag) bool {
		return slices.ContainsFunc(keys, func(k string) bool { return strings.EqualFold(k, t.Key) })
	})
}

func tagShapes(tags []Tag) []shape.Tag {
	out := []shape.Tag{}
	for _, t := range tags {
		out = append(out, shape.Tag{Key: new(t.Key), Value: new(t.Value)})
	}
	return out
}

// optionalTags are tags where IAM leaves none out.
func optionalTags(tags []Tag) []shape.Tag {
	if len(tags) == 0 {
		return nil
	}
	return tagShapes(tags)
}

// page takes a page of rows that are wanted: those after the marker, at most the number asked for. The marker of the
// next page is the last key.
func page[R any](rows iter.Seq2[string, R], marker *string, most *int32, wanted func(R) bool) (out []R, next *string, truncated *bool) {
	n := int(api.Or(most, 100))
	var last string
	for k, r := range rows {
		if k <= api.Value(marker) || wanted != nil && !wanted(r) {
			continue
		}
		if len(out) == n {
			return out, new(last), new(true)
		}
		out, last = append(out, r), k
	}
	return out, nil, new(false)
}

// listed is page for what is a list: the marker is the place.
func listed[T any](all []T, marker *string, most *int32) (out []T, next *string, truncated *bool) {
	from, err := strconv.Atoi(api.Or(marker, "0"))
	if err != nil || from < 0 {
		from = len(all)
	}
	from = min(from, len(all))
	to := min(from+int(api.Or(most, 100)), len(all))
	if to == len(all) {
		return all[from:to], nil, new(false)
	}
	return all[from:to], new(strconv.Itoa(to)), new(true)
}

// count is the number of rows, up to a bound.
func count[R any](rows iter.Seq2[string, R], bound int) int {
	n := 0
	for range rows {
		if n++; n >= bound {
			break
		}
	}
	return n
}

// under tells whether an entity's path begins as asked for.
func under(prefix *string, path string) bool { return strings.HasPrefix(path, api.Value(prefix)) }

// boundaryShape is a permissions boundary as IAM tells it.
func boundaryShape(arn string) *shape.AttachedPermissionsBoundary {
	if arn == "" {
		return nil
	}
	return &shape.AttachedPermissionsBoundary{PermissionsBoundaryType: new("Policy"), PermissionsBoundaryArn: new(arn)}
}
