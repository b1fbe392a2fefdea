// Package terminal keeps this program from questioning the terminal that it is started in.
//
// The library of the demo's live view asks every terminal for its background colour as soon as a program that links it
// starts, whatever the program is about to do: it then waits seconds for an answer that not every terminal gives, and takes
// what the user has typed meanwhile. The one idea: packages are initialised in the order of their paths once what they
// import is ready, so this one, which needs the style library only, says that the background is known before anybody asks.
package terminal

import "github.com/charmbracelet/lipgloss"

func init() { lipgloss.SetHasDarkBackground(true) } // only adaptive colours depend on it, and there are none
