// Package tree shows what gob transmits of a value and finds the differences of two such views.
package tree

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"fmt"
	"reflect"
	"sort"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Of is what gob transmits of a value, as JSON: structs are objects keyed by Go field names, embedded ones under
// their type's name; times are RFC 3339 in UTC; byte slices are base64; fields that are zero are absent.
func Of(value any) any {
	return of(reflect.ValueOf(value))
}

func of(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Invalid:
		return nil
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return of(v.Elem())
	case reflect.Struct:
		switch at := v.Interface().(type) {
		case time.Time:
			return at.UTC().Format(time.RFC3339Nano)
		case metav1.Time:
			return at.UTC().Format(time.RFC3339Nano)
		case metav1.MicroTime:
			return at.UTC().Format(time.RFC3339Nano)
		}
		fields := map[string]any{}
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() && !v.Field(i).IsZero() {
				if value := of(v.Field(i)); !empty(value) {
					fields[field.Name] = value
				}
			}
		}
		return fields
	case reflect.Map:
		entries := map[string]any{}
		for _, key := range v.MapKeys() {
			entries[key.String()] = of(v.MapIndex(key))
		}
		return entries
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return base64.StdEncoding.EncodeToString(v.Bytes())
		}
		elements := make([]any, v.Len())
		for i := range elements {
			elements[i] = of(v.Index(i))
		}
		return elements
	case reflect.String:
		return v.String()
	case reflect.Bool:
		return v.Bool()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return fmt.Sprint(v.Int()) // as text: JSON numbers would lose the low bits of an int64
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return fmt.Sprint(v.Uint())
	}
	panic("no tree of " + v.Type().String())
}

func empty(value any) bool {
	switch value := value.(type) {
	case nil:
		return true
	case string:
		return value == "" || value == "0"
	case bool:
		return !value
	case map[string]any:
		return len(value) == 0
	case []any:
		return len(value) == 0
	}
	return false
}

// Prune removes fields that are zero from a tree that came back as JSON: a receiver that fills in zero values has
// decoded the same.
func Prune(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key, field := range value {
			if field = Prune(field); empty(field) {
				delete(value, key)
			} else {
				value[key] = field
			}
		}
	case []any:
		for i := range value {
			value[i] = Prune(value[i])
		}
	case float64:
		return fmt.Sprint(int64(value))
	}
	return value
}

// AsReceived is the value after Go's own encoder and decoder, the measure of what any receiver can know.
func AsReceived[T any](value T) T {
	var buffer bytes.Buffer
	var received T
	if err := gob.NewEncoder(&buffer).Encode(&value); err != nil {
		panic(err)
	}
	if err := gob.NewDecoder(&buffer).Decode(&received); err != nil {
		panic(err)
	}
	return received
}

// Differences names each path at which two trees differ, and counts the leaves that were compared.
func Differences(want, got any) (leaves int, differences []string) {
	differ(&leaves, &differences, "", want, got)
	return
}

func differ(leaves *int, differences *[]string, path string, want, got any) {
	switch want := want.(type) {
	case map[string]any:
		if got, ok := got.(map[string]any); ok {
			for _, key := range union(want, got) {
				differ(leaves, differences, path+"."+key, want[key], got[key])
			}
			return
		}
	case []any:
		if got, ok := got.([]any); ok && len(got) == len(want) {
			for i := range want {
				differ(leaves, differences, fmt.Sprintf("%s[%d]", path, i), want[i], got[i])
			}
			return
		}
	}
	*leaves++
	if !reflect.DeepEqual(want, got) {
		*differences = append(*differences, fmt.Sprintf("%s: want %.80v, got %.80v", path, want, got))
	}
}

func union(a, b map[string]any) []string {
	keys := make([]string, 0, len(a))
	for key := range a {
		keys = append(keys, key)
	}
	for key := range b {
		if _, known := a[key]; !known {
			keys = append(keys, key)
		}
	}
	sort.Strings(keys)
	return keys
}
