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
		case known && !up[linkName(a.b.address)], !over(a.alive) && a.b.stuck():
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

// stuck tells whether init cannot answer whatever processor time it gets: it is
// stopped, waits for memory or a disk, or is frozen. One that runs would answer
// if it got the processor, and so would one that sleeps: then it is this process
// that has not heard it yet. A host or an instance that is busy is slow, but does
// not hang.
func (b *boot) stuck() bool {
	stat := readString("/proc/" + strconv.Itoa(b.guest.pid) + "/stat")
	switch state := strings.TrimSpace(stat[strings.LastIndexByte(stat, ')')+1:]); {
	case strings.HasPrefix(state, "R"):
		return false
	case strings.HasPrefix(state, "S"):
		return b.place.frozen()
	}
	return true
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
