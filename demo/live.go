package demo

import (
	"fmt"
	"io"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"

	_ "github.com/billow-cloud/billow/demo/terminal" // before the library asks the terminal
)

// liveView redraws a few lines at the bottom of the terminal; events scroll by above them.
type liveView struct {
	program *tea.Program
	done    chan struct{}
}

func newLiveView(out io.Writer) *liveView {
	v := &liveView{
		// Signals and keys belong to the demo, which has to clean up.
		program: tea.NewProgram(screen{}, tea.WithOutput(out), tea.WithInput(nil), tea.WithoutSignalHandler()),
		done:    make(chan struct{}),
	}
	go func() { v.program.Run(); close(v.done) }()
	return v
}

func (v *liveView) phase(name string) { v.program.Send(phaseMessage(name)) }
func (v *liveView) event(line string) { v.program.Println(line) }
func (v *liveView) show(since time.Duration, s state, l totals) {
	v.program.Send(showMessage{since, s, l})
}

func (v *liveView) close() {
	v.program.Quit()
	<-v.done
}

type (
	phaseMessage string
	showMessage  struct {
		since time.Duration
		state state
		load  totals
	}
)

// screen is the live part: phase, capacity, CPU with its recent past, requests and latency.
type screen struct {
	phase string
	last  showMessage
	cpu   []float64 // one value per cloud minute or so, oldest first
}

const pastValues = 40

func (s screen) Init() tea.Cmd { return nil }

func (s screen) Update(m tea.Msg) (tea.Model, tea.Cmd) {
	switch m := m.(type) {
	case phaseMessage:
		s.phase = string(m)
	case showMessage:
		s.last = m
		if c := m.state.CPU; c != nil && (len(s.cpu) == 0 || s.cpu[len(s.cpu)-1] != *c) {
			s.cpu = append(s.cpu, *c)
			s.cpu = s.cpu[max(0, len(s.cpu)-pastValues):]
		}
	}
	return s, nil
}

var (
	title = lipgloss.NewStyle().Bold(true)
	good  = lipgloss.NewStyle().Foreground(lipgloss.Color("2"))
	busy  = lipgloss.NewStyle().Foreground(lipgloss.Color("3"))
	faint = lipgloss.NewStyle().Faint(true)
)

func (s screen) View() string {
	if s.phase == "" {
		return ""
	}
	st, l := s.last.state, s.last.load
	boxes := good.Render(strings.Repeat("■ ", len(st.InService))) + busy.Render(strings.Repeat("▲ ", st.Pending)) +
		faint.Render(strings.Repeat("▽ ", st.Ending)) + faint.Render(strings.Repeat("· ", max(0, maxSize-len(st.InService)-st.Pending)))
	lines := []string{
		"",
		title.Render(s.phase) + faint.Render(fmt.Sprintf("  %.0f s", s.last.since.Seconds())),
		fmt.Sprintf("  capacity  %s desired %d, healthy targets %d", boxes, st.Desired, st.Healthy),
		fmt.Sprintf("  CPU      %s  %s", percent(st.CPU), sparkline(s.cpu)),
		fmt.Sprintf("  requests  %.0f/s  p50 %s  p99 %s  answered %d  failed %d", l.Rate, milliseconds(l.Latency.P50), milliseconds(l.Latency.P99), l.AllAnswered, l.AllFailed),
		"",
	}
	return strings.Join(lines, "\n")
}

// sparkline draws percentages, one character each.
func sparkline(values []float64) string {
	const bars = "▁▂▃▄▅▆▇█"
	var b strings.Builder
	for _, v := range values {
		i := min(7, max(0, int(v/100*8)))
		b.WriteRune([]rune(bars)[i])
	}
	return b.String()
}
