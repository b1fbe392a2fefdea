package sim

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/billow-cloud/billow/driver"
)

// TestTheNextServerFindsTheInstances: what was launched, stopped and terminated is the same after a restart, also when
// the last line was cut off by a kill.
func TestTheNextServerFindsTheInstances(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	open := func() *Driver {
		d, err := New(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	d := open()
	for _, id := range []string{"i-1", "i-2", "i-3"} {
		must(d.Launch(ctx, driver.Spec{ID: id}))
	}
	must(d.Stop(ctx, "i-2", false))
	must(d.CreateImage(ctx, "ami-1", "i-1"))
	must(d.Terminate(ctx, "i-3"))
	before, err := d.Inventory(ctx)
	must(err)
	if _, err := d.file.WriteString(`{"ID":"i-4","Sta`); err != nil {
		t.Fatal(err)
	}
	again := open()
	after, err := again.Inventory(ctx)
	must(err)
	if diff := cmp.Diff(before, after, cmpopts.EquateComparable(before.Instances[0].PrivateIP)); diff != "" || len(after.Instances) != 2 {
		t.Error(diff)
	}
	must(again.Reset(ctx))
	must(again.Launch(ctx, driver.Spec{ID: "i-5", ImageID: ""}))
	if err := again.Launch(ctx, driver.Spec{ID: "i-6", ImageID: "ami-1"}); err == nil {
		t.Error("an image that was reset can still be launched")
	}
	last, err := open().Inventory(ctx)
	must(err)
	if len(last.Instances) != 1 || last.Instances[0].ID != "i-5" {
		t.Errorf("after a reset: %+v", last)
	}
}
