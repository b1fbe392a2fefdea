package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/billow-cloud/billow/sim/world"
)

type simWorld struct {
	PerInstance float64 `help:"Requests per second that one instance serves at 100 % CPU." default:"100" placeholder:"RATE"`
	Type        string  `help:"Instance type; * is any." default:"*"`
}

// Run prints a model.
func (s *simWorld) Run() error {
	switch {
	case !(s.PerInstance > 0):
		return errors.New("--per-instance must be above 0")
	case strings.TrimSpace(s.Type) == "":
		return errors.New("--type must not be empty; * is any type")
	}
	m := defaultWorld(s.PerInstance, s.Type)
	if err := m.Validate(); err != nil {
		return fmt.Errorf("--per-instance %v: %s", s.PerInstance, strings.TrimPrefix(err.Error(), "world: "))
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	return out.Encode(m)
}

// defaultWorld is world.Default for one instance type, with what AWS asks for it.
func defaultWorld(perInstance float64, kind string) world.Model {
	return of(kind, world.Default(perInstance))
}

// lasting is world.Lasting for one instance type.
func lasting(perInstance, service float64, kind string) world.Model {
	return of(kind, world.Lasting(perInstance, service))
}

func of(kind string, m world.Model) world.Model {
	t := m.Types["*"]
	t.Price = price(kind)
	m.Types = map[string]world.Type{kind: t}
	return m
}

// usual is the type whose price any type has that is not known.
const usual = "m5.large"

// perVCPU are on-demand prices of an hour of one vCPU in us-east-1 (Linux, US dollars), by family of the catalogue.
var perVCPU = map[string]float64{"m5": 0.048, "m6i": 0.048, "m7g": 0.0408, "c5": 0.0425, "c6i": 0.0425, "c7g": 0.0363, "r5": 0.063}

// burstable are those of the burstable families at their size "large"; each size is twice the one below it.
var burstable = map[string]float64{"t2": 0.0928, "t3": 0.0832, "t3a": 0.0752, "t4g": 0.0672}

// price is that of an hour of an instance type.
func price(kind string) float64 {
	family, size, _ := strings.Cut(kind, ".")
	large := burstable[family]
	if large == 0 {
		large = 2 * perVCPU[family]
	}
	if large == 0 {
		return price(usual)
	}
	switch steps := map[string]float64{"nano": 16, "micro": 8, "small": 4, "medium": 2, "large": 1}; {
	case steps[size] > 0:
		return large / steps[size]
	case size == "xlarge":
		return 2 * large
	}
	if n, err := strconv.Atoi(strings.TrimSuffix(size, "xlarge")); err == nil {
		return 2 * large * float64(n)
	}
	return large
}
