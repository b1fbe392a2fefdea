package elbv2

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Attribute is one attribute that was set; those that were not have their default.
type Attribute struct{ Key, Value string }

// attribute describes one: Allowed lists what it may be, separated by "|": a word or a range of numbers; empty is any text.
type attribute struct{ Key, Default, Allowed string }

const onOff = "true|false"

// Keys that have an effect.
const (
	keyIdleTimeout        = "idle_timeout.timeout_seconds"
	keyClientKeepAlive    = "client_keep_alive.seconds"
	keyDeletionProtection = "deletion_protection.enabled"
	keyDropInvalidHeaders = "routing.http.drop_invalid_header_fields.enabled"
	keyXFFClientPort      = "routing.http.xff_client_port.enabled"
	keyXFFMode            = "routing.http.xff_header_processing.mode"

	keyDelay             = "deregistration_delay.timeout_seconds"
	keyAlgorithm         = "load_balancing.algorithm.type"
	keySlowStart         = "slow_start.duration_seconds"
	keyAnomaly           = "load_balancing.algorithm.anomaly_mitigation"
	keyMinimumCount      = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count"
	keyMinimumPercentage = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage"
)

// loadBalancerAttributes are those of an application load balancer (LB-HD-01 to LB-HD-04).
var loadBalancerAttributes = []attribute{
	{"access_logs.s3.bucket", "", ""},
	{"access_logs.s3.enabled", "false", onOff},
	{"access_logs.s3.prefix", "", ""},
	{keyClientKeepAlive, "3600", "60..604800"},
	{"connection_logs.s3.bucket", "", ""},
	{"connection_logs.s3.enabled", "false", onOff},
	{"connection_logs.s3.prefix", "", ""},
	{keyDeletionProtection, "false", onOff},
	{"health_check_logs.s3.bucket", "", ""},
	{"health_check_logs.s3.enabled", "false", onOff},
	{"health_check_logs.s3.prefix", "", ""},
	{keyIdleTimeout, "60", "1..4000"},
	{"ipv6.deny_all_igw_traffic", "false", onOff},
	{"load_balancing.cross_zone.enabled", "true", "true"}, // always on for an application load balancer (LB-RT-06)
	{"routing.http.desync_mitigation_mode", "defensive", "monitor|defensive|strictest"},
	{keyDropInvalidHeaders, "false", onOff},
	{"routing.http.preserve_host_header.enabled", "false", onOff},
	{"routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "false", onOff},
	{keyXFFClientPort, "false", onOff},
	{keyXFFMode, "append", "append|preserve|remove"},
	{"routing.http2.enabled", "true", onOff},
	{"waf.fail_open.enabled", "false", onOff},
	{"zonal_shift.config.enabled", "false", onOff},
}

// targetGroupAttributes are those of a target group of instances or addresses behind an application load balancer.
var targetGroupAttributes = []attribute{
	{keyDelay, "300", "0..3600"},
	{keyAnomaly, "off", "on|off"},
	{keyAlgorithm, "round_robin", "round_robin|least_outstanding_requests|weighted_random"},
	{"load_balancing.cross_zone.enabled", "use_load_balancer_configuration", "true|false|use_load_balancer_configuration"},
	{keySlowStart, "0", "0|30..900"},
	{"stickiness.app_cookie.cookie_name", "", ""},
	{"stickiness.app_cookie.duration_seconds", "86400", "1..604800"},
	{"stickiness.enabled", "false", onOff},
	{"stickiness.lb_cookie.duration_seconds", "86400", "1..604800"},
	{"stickiness.type", "lb_cookie", "lb_cookie|app_cookie"},
	{"target_group_health.dns_failover.minimum_healthy_targets.count", "1", "off|1..1000"},
	{"target_group_health.dns_failover.minimum_healthy_targets.percentage", "off", "off|1..100"},
	{keyMinimumCount, "1", "1..1000"},
	{keyMinimumPercentage, "off", "off|1..100"},
}

// listenerAttributes are those of an HTTP listener.
var listenerAttributes = []attribute{
	{"routing.http.response.access_control_allow_credentials.header_value", "", ""},
	{"routing.http.response.access_control_allow_headers.header_value", "", ""},
	{"routing.http.response.access_control_allow_methods.header_value", "", ""},
	{"routing.http.response.access_control_allow_origin.header_value", "", ""},
	{"routing.http.response.access_control_expose_headers.header_value", "", ""},
	{"routing.http.response.access_control_max_age.header_value", "", ""},
	{"routing.http.response.content_security_policy.header_value", "", ""},
	{"routing.http.response.server.enabled", "true", onOff},
	{"routing.http.response.strict_transport_security.header_value", "", ""},
	{"routing.http.response.x_content_type_options.header_value", "", ""},
	{"routing.http.response.x_frame_options.header_value", "", ""},
}

// setAttribute returns the attributes with one more set; noun is "Load balancer".
func setAttribute(set []Attribute, known []attribute, noun, key, value string) ([]Attribute, error) {
	i := slices.IndexFunc(known, func(a attribute) bool { return a.Key == key })
	if i < 0 {
		return nil, invalid("%s attribute key '%s' is not recognized", noun, key)
	}
	if !allowed(known[i].Allowed, value) {
		return nil, invalid("%s attribute value '%s' is not valid for key '%s'; it must be one of %s", noun, value, key, known[i].Allowed)
	}
	kept := slices.DeleteFunc(slices.Clone(set), func(a Attribute) bool { return a.Key == key })
	if value != known[i].Default {
		kept = append(kept, Attribute{key, value})
	}
	return kept, nil
}

func allowed(what, value string) bool {
	if what == "" {
		return len(value) <= 1024
	}
	for _, one := range strings.Split(what, "|") {
		low, high, ranged := strings.Cut(one, "..")
		if !ranged {
			if value == one {
				return true
			}
			continue
		}
		n, err := strconv.Atoi(value)
		if from, _ := strconv.Atoi(low); err == nil && n >= from {
			if to, _ := strconv.Atoi(high); n <= to {
				return true
			}
		}
	}
	return false
}

// getAttribute is an attribute's value.
func getAttribute(set []Attribute, known []attribute, key string) string {
	for _, a := range set {
		if a.Key == key {
			return a.Value
		}
	}
	for _, a := range known {
		if a.Key == key {
			return a.Default
		}
	}
	return ""
}

// allAttributes yields every attribute, in order of key as the tables are.
func allAttributes(set []Attribute, known []attribute, yield func(key, value string)) {
	for _, a := range known {
		yield(a.Key, getAttribute(set, known, a.Key))
	}
}

func seconds(value string) time.Duration {
	n, _ := strconv.Atoi(value)
	return time.Duration(n) * time.Second
}
