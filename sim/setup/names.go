package setup

import (
	"reflect"
	"strconv"
	"strings"
)

// renamed copies a shape with every string that is, or has in it, an old name written anew. Old names are ARNs, resource
// labels and ${variables}: long enough not to be met by chance.
func renamed(in any, names map[string]string) any {
	return copied(reflect.ValueOf(in), names).Interface()
}

func copied(v reflect.Value, names map[string]string) reflect.Value {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		out := reflect.New(v.Type().Elem())
		out.Elem().Set(copied(v.Elem(), names))
		return out
	case reflect.Struct:
		out := reflect.New(v.Type()).Elem()
		out.Set(v) // what is not exported, such as in time.Time
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				out.Field(i).Set(copied(v.Field(i), names))
			}
		}
		return out
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		out := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			out.Index(i).Set(copied(v.Index(i), names))
		}
		return out
	case reflect.Map:
		if v.IsNil() {
			return v
		}
		out := reflect.MakeMapWithSize(v.Type(), v.Len())
		for _, k := range v.MapKeys() {
			out.SetMapIndex(k, copied(v.MapIndex(k), names))
		}
		return out
	case reflect.String:
		out := reflect.New(v.Type()).Elem()
		out.SetString(rename(v.String(), names))
		return out
	default:
		return v
	}
}

func rename(text string, names map[string]string) string {
	if is, ok := names[text]; ok {
		return is
	}
	for strings.Contains(text, "${") {
		before, rest, _ := strings.Cut(text, "${")
		name, after, ended := strings.Cut(rest, "}")
		is, known := names["${"+name+"}"]
		if !ended || !known {
			break
		}
		text = before + is + after
	}
	return text
}

// lookUp finds the text at a path of member names and indices, "Subnets.0.SubnetId", in an answer's shape.
func lookUp(reply any, path string) (string, bool) {
	v := reflect.ValueOf(reply)
	for part := range strings.SplitSeq(path, ".") {
		for v.Kind() == reflect.Pointer && !v.IsNil() {
			v = v.Elem()
		}
		switch v.Kind() {
		case reflect.Struct:
			v = v.FieldByName(part)
		case reflect.Slice:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= v.Len() {
				return "", false
			}
			v = v.Index(i)
		default:
			return "", false
		}
		if !v.IsValid() {
			return "", false
		}
	}
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		return v.String(), true
	case reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10), true
	default:
		return "", false
	}
}
