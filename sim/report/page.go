package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"image/color"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/billow-cloud/billow/sim/outcome"
)

// activitiesShown bounds the list on a page; the command line and CSV have all of them.
const activitiesShown = 500

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// onlyFont and onlySize are what a plot says and the page knows better.
var (
	onlyFont = regexp.MustCompile(`font-family:[^;"]*;font-variant:[^;"]*;font-weight:[^;"]*;font-style:[^;"]*;?`)
	onlySize = regexp.MustCompile(`<svg width="[^"]*" height="[^"]*"`)
)

// colourNames are the names that page.html gives to colourCodes, for light and for dark.
var colourNames, colourCodes = func() (names, codes []string) {
	add := func(name string, c color.RGBA) {
		names, codes = append(names, name), append(codes, code(c))
	}
	add("ink", ink)
	add("faint", faint)
	add("paper", paper)
	add("quiet", quiet)
	add("load", load)
	add("wanted", wanted)
	add("there", there)
	for i, c := range variants {
		add(fmt.Sprintf("v%d", i+1), c)
	}
	return names, codes
}()

type view struct {
	Report
	Span   string
	Names  []string
	Rows   []row
	Plots  []picture
	Groups []activities
}

type row struct {
	Name  string
	Texts []string
}

type picture struct {
	Title, About string
	Keys         []key
	SVG          template.HTML
}

// key is one entry of a legend.
type key struct {
	Name   string
	Colour template.CSS
	Dashed bool
}

type activities struct {
	Name   string
	List   []activity
	Hidden int
}

type activity struct{ At, What, Change, Status, Cause string }

// HTML writes the whole report as one page that loads nothing.
func HTML(w io.Writer, r Report) error {
	v := view{Report: r}
	from, to := r.span()
	v.Span = from.UTC().Format(instant) + " to " + to.UTC().Format(instant) + " UTC"
	for _, o := range r.Outcomes {
		v.Names = append(v.Names, o.Name)
		if len(o.Activities) > 0 {
			v.Groups = append(v.Groups, listed(o))
		}
	}
	for _, f := range figures {
		x := row{Name: f.name}
		for _, o := range r.Outcomes {
			x.Texts = append(x.Texts, f.text(o.Summary))
		}
		v.Rows = append(v.Rows, x)
	}
	list, err := panels(r)
	if err != nil {
		return err
	}
	for _, p := range list {
		svg, err := inline(p)
		if err != nil {
			return err
		}
		v.Plots = append(v.Plots, picture{p.title, p.about, keys(p), template.HTML(svg)})
	}
	return page.Execute(w, v)
}

// keys are the legend of a plot, which one line does not need.
func keys(p panel) []key {
	var list []key
	for _, l := range p.lines {
		at := slices.Index(colourCodes, code(l.color))
		list = append(list, key{l.name, template.CSS("var(--" + colourNames[at] + ")"), l.dashed})
	}
	if len(list) < 2 {
		return nil
	}
	return list
}

func code(c color.RGBA) string { return fmt.Sprintf("#%02X%02X%02X", c.R, c.G, c.B) }

func listed(o outcome.Outcome) activities {
	a := activities{Name: o.Name, Hidden: max(0, len(o.Activities)-activitiesShown)}
	for _, x := range o.Activities[:min(len(o.Activities), activitiesShown)] {
		status := x.StatusCode
		if status == "Successful" {
			status = ""
		}
		a.List = append(a.List, activity{x.StartTime.UTC().Format(instant), x.Description, change(x), status, strings.TrimSpace(x.Cause)})
	}
	return a
}
