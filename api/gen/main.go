// Command gen writes the shapes of package api's services from the API models (botocore's service-2.json format).
//
//	go run ./api/gen -models DIR [-api api]
//
// For every api/model/SERVICE.txt it reads DIR/SERVICE.json, takes the operations that the list names and all shapes
// they reach, applies api/model/corrections.txt, and writes the folder api/SERVICE; api/catalog gets the list of all
// services. Operations that are not listed keep their name only. What it writes is committed: building needs no models.
//
// It is not run by the build, and it fails rather than guess: a name used twice, a pattern Go cannot match and an
// operation or correction that fits nothing are errors.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	models := flag.String("models", "", "folder with the API models, SERVICE.json each")
	root := flag.String("api", "api", "the api folder")
	flag.Parse()
	if *models == "" {
		fmt.Fprintln(os.Stderr, "gen: -models DIR is needed: a folder with autoscaling.json, ec2.json, ...")
		os.Exit(2)
	}
	if err := run(*models, *root); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(models, root string) error {
	corrections, err := readCorrections(filepath.Join(root, "model", "corrections.txt"))
	if err != nil {
		return err
	}
	lists, err := filepath.Glob(filepath.Join(root, "model", "*.txt"))
	if err != nil {
		return err
	}
	var services []string
	for _, list := range lists {
		name := strings.TrimSuffix(filepath.Base(list), ".txt")
		if name == "corrections" {
			continue
		}
		if err := generate(name, models, root, list, corrections[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		services = append(services, name)
	}
	for name := range corrections {
		if _, err := os.Stat(filepath.Join(root, "model", name+".txt")); err != nil {
			return fmt.Errorf("corrections.txt: no list of operations for %s", name)
		}
	}
	return writeCatalog(root, services)
}

func generate(name, models, root, list string, corrections []correction) error {
	listed, err := readList(list)
	if err != nil {
		return err
	}
	m, err := readModel(filepath.Join(models, name+".json"))
	if err != nil {
		return err
	}
	s, err := build(name, m, listed, corrections)
	if err != nil {
		return err
	}
	return s.write(filepath.Join(root, name))
}

// lines gives a file's lines without comments and empty ones.
func lines(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out []string
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "#") {
			out = append(out, line)
		}
	}
	return out, nil
}

func readList(path string) (map[string]bool, error) {
	all, err := lines(path)
	if err != nil {
		return nil, err
	}
	listed := map[string]bool{}
	for _, name := range all {
		if listed[name] {
			return nil, fmt.Errorf("%s: %s is listed twice", path, name)
		}
		listed[name] = true
	}
	return listed, nil
}

// A correction is one line of corrections.txt without the service.
type correction struct{ verb, target, value string }

func readCorrections(path string) (map[string][]correction, error) {
	all, err := lines(path)
	if err != nil {
		return nil, err
	}
	out := map[string][]correction{}
	for _, line := range all {
		f := strings.SplitN(line, " ", 4)
		if len(f) < 3 {
			return nil, fmt.Errorf("%s: %q: want SERVICE VERB TARGET [VALUE]", path, line)
		}
		c := correction{verb: f[1], target: f[2]}
		if len(f) == 4 {
			c.value = f[3]
		}
		out[f[0]] = append(out[f[0]], c)
	}
	return out, nil
}
