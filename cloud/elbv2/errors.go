package elbv2

import (
	"slices"
	"strings"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud"
)

// invalid is what fails in a request that the model allows.
func invalid(format string, args ...any) error { return api.Errorf("ValidationError", format, args...) }

// arn is the name of something of this service.
func arn(scope cloud.Scope, resource string) string {
	return scope.ARN("elasticloadbalancing", resource)
}

// resource is an ARN's last part: "targetgroup/web/0123456789abcdef".
func resource(arn string) string {
	part := strings.SplitN(arn, ":", 6)
	if len(part) < 6 {
		return ""
	}
	return part[5]
}

// ScopeOf is the scope that an ARN names.
func ScopeOf(arn string) cloud.Scope {
	part := strings.SplitN(arn, ":", 6)
	if len(part) < 6 {
		return cloud.Scope{}
	}
	return cloud.Scope{Account: part[4], Region: part[3]}
}

// checkARN tells a wrong name from one that means nothing: kind is "loadbalancer", noun is "load balancer".
func checkARN(arn, kind, noun string) error {
	if !strings.HasPrefix(resource(arn), kind+"/") || !strings.Contains(arn, ":elasticloadbalancing:") {
		return invalid("'%s' is not a valid %s ARN", arn, noun)
	}
	return nil
}

// CheckName holds a name against LB-DN-02; noun is "Load balancer".
func CheckName(noun, name string) error {
	for _, r := range name {
		if r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return invalid("%s name '%s' can only contain characters that are alphanumeric characters or hyphens(-)", noun, name)
		}
	}
	switch {
	case name == "":
		return invalid("%s name cannot be empty", noun)
	case len(name) > 32:
		return invalid("%s name '%s' cannot be longer than '32' characters", noun, name)
	case strings.HasPrefix(name, "-") || strings.HasSuffix(name, "-"):
		return invalid("%s name '%s' cannot begin or end with a hyphen(-)", noun, name)
	}
	return nil
}

// page cuts a listing in order of key: it returns the rows after marker, at most size, and the next marker.
func page[R any](rows []R, key func(R) string, marker *string, size *int32) ([]R, *string) {
	n := int(api.Or(size, 400))
	if api.Value(marker) == "" && len(rows) <= n {
		return rows, nil
	}
	slices.SortFunc(rows, func(a, b R) int { return strings.Compare(key(a), key(b)) })
	for len(rows) > 0 && key(rows[0]) <= api.Value(marker) {
		rows = rows[1:]
	}
	if len(rows) <= n {
		return rows, nil
	}
	return rows[:n], new(key(rows[n-1]))
}
