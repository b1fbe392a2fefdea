package logs

import "strings"

// pattern is a filter: an event fits if it has all of the required terms (or, if there are none, one of the optional ones)
// and none of the excluded. Upper and lower case differ.
type pattern struct{ required, optional, excluded []string }

func (p *pattern) fits(text string) bool {
	for _, t := range p.excluded {
		if strings.Contains(text, t) {
			return false
		}
	}
	for _, t := range p.required {
		if !strings.Contains(text, t) {
			return false
		}
	}
	if len(p.required) > 0 || len(p.optional) == 0 {
		return true
	}
	for _, t := range p.optional {
		if strings.Contains(text, t) {
			return true
		}
	}
	return false
}

// termCharacters are those that a term may have without quotes, beside letters, digits and everything outside ASCII.
const termCharacters = "_.-/@#$+=&*"

// parsePattern reads a filter: terms, "phrases", each with - (excluded) or ? (optional) before it.
func parsePattern(text string) (p pattern, err error) {
	text = strings.TrimSpace(text)
	switch {
	case strings.HasPrefix(text, "{"):
		return p, invalid("Invalid filter pattern: JSON filter patterns are not implemented here. Use terms and \"phrases\".")
	case strings.HasPrefix(text, "["):
		return p, invalid("Invalid filter pattern: space-delimited filter patterns are not implemented here. Use terms and \"phrases\".")
	case strings.HasPrefix(text, "%"):
		return p, invalid("Invalid filter pattern: regular expressions are not implemented here. Use terms and \"phrases\".")
	}
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		list := &p.required
		switch text[0] {
		case '-':
			list, text = &p.excluded, text[1:]
		case '?':
			list, text = &p.optional, text[1:]
		}
		var term string
		if rest, quoted := strings.CutPrefix(text, `"`); quoted {
			term, text, err = phrase(rest)
		} else {
			term, text, err = word(text)
		}
		if err != nil {
			return p, err
		}
		*list = append(*list, term)
	}
	return p, nil
}

// phrase reads up to the closing quote; a backslash makes the next character an ordinary one.
func phrase(text string) (term, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			if b.Len() == 0 {
				return "", "", invalid("Invalid filter pattern: a quoted phrase is empty")
			}
			return b.String(), text[i+1:], nil
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", invalid("Invalid filter pattern: a quote is not closed")
}

func word(text string) (term, rest string, err error) {
	end := strings.IndexAny(text, " \t\r\n")
	if end < 0 {
		end = len(text)
	}
	term = text[:end]
	for _, c := range term {
		if c < 0x80 && !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune(termCharacters, c)) {
			return "", "", invalid("Invalid character(s) in term '%s'", term)
		}
	}
	if term == "" {
		return "", "", invalid("Invalid filter pattern: a term is empty")
	}
	return term, text[end:], nil
}
