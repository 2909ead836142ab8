package tree

import (
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Populate gives every exported field, at any depth, a value of its own that is not zero: strings of several bytes per
// character, integers of every width and sign, times with nanoseconds and zones, quantities.
func Populate[T any]() T {
	var value T
	p := populator{}
	p.fill(reflect.ValueOf(&value).Elem(), 0)
	return value
}

type populator struct{ count int64 }

// Zones of the times: UTC, none, east, west and one that is not whole minutes (version 2 of Go's binary form).
var zones = []*time.Location{
	time.UTC, time.Local, time.FixedZone("", 5*3600+1800), time.FixedZone("", -8*3600), time.FixedZone("", 3607),
}

func (p *populator) time() time.Time {
	return time.Unix(1_700_000_000+p.count*86_399, p.count*1_000_003%1_000_000_000).In(zones[p.count%int64(len(zones))])
}

func (p *populator) fill(v reflect.Value, depth int) {
	p.count++
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(p.time()))
		return
	case metav1.Time:
		v.Set(reflect.ValueOf(metav1.Time{Time: p.time()}))
		return
	case metav1.MicroTime:
		v.Set(reflect.ValueOf(metav1.MicroTime{Time: p.time()}))
		return
	case resource.Quantity:
		v.Set(reflect.ValueOf(resource.MustParse(fmt.Sprintf("%dMi", p.count))))
		return
	case json.RawMessage:
		v.Set(reflect.ValueOf(json.RawMessage(fmt.Sprintf(`{"op": "echo", "n": %d}`, p.count))))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		p.fill(v.Elem(), depth)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				p.fill(v.Field(i), depth+1)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte{0, 0xff, byte(p.count), byte(p.count >> 8)})
			return
		}
		length := 1
		if depth < 6 {
			length = 2
		}
		v.Set(reflect.MakeSlice(v.Type(), length, length))
		for i := range length {
			p.fill(v.Index(i), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 2 {
			key := reflect.New(v.Type().Key()).Elem()
			element := reflect.New(v.Type().Elem()).Elem()
			p.fill(key, depth+1)
			p.fill(element, depth+1)
			v.SetMapIndex(key, element)
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("s%d·größe 値", p.count))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		widths := []int64{1, -1, 63, -64, 64, 127, -128, 255, 256, 65_535, -65_536, 1 << 31, -1 << 40, 1<<63 - 1, -1 << 63}
		number := widths[p.count%int64(len(widths))]
		for v.OverflowInt(number) {
			number >>= 8
		}
		if number == 0 {
			number = p.count % 100
		}
		v.SetInt(number)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(p.count%255 + 1))
	default:
		panic("cannot populate " + v.Type().String())
	}
}
