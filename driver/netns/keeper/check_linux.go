package keeper

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// signPatience is how long all instances together are waited for that were asked
// for a sign of life.
const signPatience = time.Second

// check asks all instances for a sign of life, and lists those that give none or
// have no network. An answer that does not come now may come to the next check.
func (k *keeper) check() (silent []string) {
	type asked struct {
		i     *instance
		b     *boot
		alive <-chan struct{}
	}
	var all []asked
	k.mu.Lock()
	for _, i := range k.instances {
		if i.boot != nil && i.record.Spec.Sandbox == nil {
			all = append(all, asked{i: i, b: i.boot})
		}
	}
	k.mu.Unlock()
	for n := range all {
		all[n].alive = all[n].b.guest.ask()
	}
	up, known := k.vpc.up()
	late := make(chan struct{})
	defer time.AfterFunc(signPatience, func() { close(late) }).Stop()
	for _, a := range all {
		select {
		case <-a.alive:
		case <-a.b.guest.ended:
		case <-late:
		}
		switch {
		case over(a.b.guest.ended), a.b.place.held():
		case known && !up[linkName(a.b.address)], !over(a.alive) && !a.b.guest.busy():
			silent = append(silent, a.i.id)
		}
	}
	slices.Sort(silent)
	return silent
}

// over tells whether a channel is closed.
func over(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// busy tells whether init would answer if it got the processor: an instance that
// uses up what it was promised is slow, but does not hang.
func (g *guest) busy() bool {
	stat := readString("/proc/" + strconv.Itoa(g.pid) + "/stat")
	return strings.HasPrefix(stat[strings.LastIndexByte(stat, ')')+1:], " R")
}

// up names the links whose other end, inside the instance, is there and up.
func (v *vpc) up() (names map[string]bool, known bool) {
	links, err := v.handle.LinkList()
	names = map[string]bool{}
	for _, l := range links {
		if a := l.Attrs(); a.RawFlags&unix.IFF_LOWER_UP != 0 {
			names[a.Name] = true
		}
	}
	return names, err == nil
}
