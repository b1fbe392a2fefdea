package report

import (
	"bytes"
	"io"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// PNG writes all plots as one picture on white ground.
func PNG(w io.Writer, r Report) error {
	list, err := panels(r)
	if err != nil {
		return err
	}
	c := vgimg.NewWith(vgimg.UseWH(width, tall(list)), vgimg.UseDPI(144), vgimg.UseBackgroundColor(paper))
	stack(list, draw.New(c))
	_, err = vgimg.PngCanvas{Canvas: c}.WriteTo(w)
	return err
}

// SVG writes all plots as one picture on white ground.
func SVG(w io.Writer, r Report) error {
	list, err := panels(r)
	if err != nil {
		return err
	}
	c := vgsvg.New(width, tall(list))
	stack(list, draw.New(c))
	_, err = c.WriteTo(w)
	return err
}

func tall(list []panel) vg.Length { return vg.Length(max(1, len(list))) * height }

// inline is one plot as SVG for inside a page: its colours are the page's, it is as wide as there is room, and its text is
// set in the page's font.
func inline(p panel) (string, error) {
	c := vgsvg.New(width, height)
	p.plot.Draw(margin(draw.New(c)))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return "", err
	}
	_, text, _ := strings.Cut(b.String(), "<svg")
	text = "<svg" + text
	text = onlyFont.ReplaceAllString(text, "")
	text = onlySize.ReplaceAllString(text, `<svg role="img" aria-label="`+p.title+`"`)
	for i, name := range colourNames {
		text = strings.ReplaceAll(text, colourCodes[i], "var(--"+name+")")
	}
	return text, nil
}
