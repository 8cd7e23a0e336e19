package mongodb

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// generator makes documents of one random schema.
type generator struct {
	*rand.Rand
	value   func(*rand.Rand, kind) any
	columns []string
	types   map[string][]kind // of each column
}

var pool = []string{"_id", "nombre", "ñ", "d.calle", "d.geo.lat", "d.geo.lon", "$x", "x-y", "estado"}

func newGenerator(random *rand.Rand, value func(*rand.Rand, kind) any) *generator {
	g := &generator{Rand: random, value: value, types: map[string][]kind{}}
	families := [][]kind{
		{kindInt32, kindInt64}, {kindInt32, kindDouble}, {kindInt64, kindDouble}, {kindInt32, kindDecimal}, {kindInt64, kindDecimal}, {kindDouble, kindDecimal},
		{kindDocument, kindArray}, {kindString, kindInt32, kindDocument}, {kindRegex, kindTimestamp, kindMinKey}, kinds(),
	}
	for _, name := range pool {
		if g.IntN(3) == 0 {
			continue
		}
		g.columns = append(g.columns, name)
		if g.IntN(2) == 0 {
			g.types[name] = families[g.IntN(len(families))]
		} else {
			g.types[name] = []kind{kinds()[g.IntN(len(kinds()))]}
		}
	}
	if len(g.columns) < 2 { // a file of one column has blank lines
		g.columns = append(g.columns, "a", "b")
	}
	g.Shuffle(len(g.columns), func(i, j int) { g.columns[i], g.columns[j] = g.columns[j], g.columns[i] })
	return g
}

// document makes a document with fields declared and not, in any order.
func (g *generator) document(int) bson.D {
	doc, within := bson.D{}, bson.D(nil)
	for _, name := range g.columns {
		times := 1
		switch g.IntN(20) {
		case 0, 1, 2:
			times = 0
		case 3:
			times = 2
		}
		for range times {
			v := g.of(name)
			switch {
			case !strings.Contains(name, ".") || g.IntN(10) == 0:
				doc = append(doc, bson.E{Key: name, Value: v})
			default:
				within = put(within, strings.Split(name, ".")[1:], v)
			}
		}
	}
	if within != nil || g.IntN(4) == 0 {
		within = append(within, g.others("calle")...)
		g.Shuffle(len(within), func(i, j int) { within[i], within[j] = within[j], within[i] })
		doc = append(doc, bson.E{Key: "d", Value: append(bson.D{}, within...)})
	} else if g.IntN(2) == 0 {
		doc = append(doc, bson.E{Key: "d", Value: g.value(g.Rand, g.anyKind())})
	}
	doc = append(doc, g.others("d")...)
	g.Shuffle(len(doc), func(i, j int) { doc[i], doc[j] = doc[j], doc[i] })
	return doc
}

// of returns a value of a column, or null.
func (g *generator) of(column string) any {
	if g.IntN(10) == 0 {
		return nil
	}
	types := g.types[column]
	if len(types) == 0 {
		types = kinds()
	}
	return g.value(g.Rand, types[g.IntN(len(types))])
}

func (g *generator) anyKind() kind { return kinds()[g.IntN(len(kinds()))] }

// others returns fields that nobody declared; none of that name.
func (g *generator) others(not string) (doc bson.D) {
	names := []string{"", "otro", "a.b", "\"", "viejo,", "Ω", "geo2", "$ref"}
	for range g.IntN(4) {
		if name := names[g.IntN(len(names))]; name != not {
			doc = append(doc, bson.E{Key: name, Value: g.value(g.Rand, g.anyKind())})
		}
	}
	return doc
}

// anyOf returns a random value of the kind, and now and then one of its corners.
func anyOf(random *rand.Rand, k kind) any { return anyWithin(random, k, 0) }

func anyWithin(random *rand.Rand, k kind, depth int) any {
	switch k {
	case kindDouble:
		corners := []float64{0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1), 1e15, 1e-5, 1e21, math.MaxFloat64, math.SmallestNonzeroFloat64, 3}
		if random.IntN(2) == 0 {
			return corners[random.IntN(len(corners))]
		}
		return math.Float64frombits(random.Uint64())
	case kindString:
		return anyString(random)
	case kindDocument:
		doc := bson.D{}
		for range random.IntN(max(4-depth, 1)) {
			doc = append(doc, bson.E{Key: strings.TrimLeft(anyString(random), "$"), Value: anyWithin(random, anyKind(random, depth), depth+1)})
		}
		return doc
	case kindArray:
		array := bson.A{}
		for range random.IntN(max(4-depth, 1)) {
			array = append(array, anyWithin(random, anyKind(random, depth), depth+1))
		}
		return array
	case kindBinary:
		subtypes := []byte{0, 1, 2, 3, 4, 4, 4, 5, 6, 7, 8, 9, 0x80, 0xff}
		data := make([]byte, []int{0, 3, 16, 16}[random.IntN(4)])
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		return bson.Binary{Subtype: subtypes[random.IntN(len(subtypes))], Data: data}
	case kindUndefined:
		return bson.Undefined{}
	case kindObjectID:
		id := oid
		id[5] = byte(random.Uint32())
		return id
	case kindBool:
		return random.IntN(2) == 0
	case kindDate:
		corners := []bson.DateTime{0, -1, math.MinInt64, math.MaxInt64, firstISODate, lastISODate, lastISODate + 1, millis(0), millis(1), millis(-1)}
		if random.IntN(2) == 0 {
			return corners[random.IntN(len(corners))]
		}
		return bson.DateTime(random.Int64() >> random.IntN(60))
	case kindNull:
		return nil
	case kindRegex:
		return bson.Regex{Pattern: anyString(random), Options: []string{"", "i", "imsx"}[random.IntN(3)]}
	case kindDBPointer:
		return bson.DBPointer{DB: anyString(random), Pointer: oid}
	case kindCode:
		return bson.JavaScript(anyString(random))
	case kindSymbol:
		return bson.Symbol(anyString(random))
	case kindScoped:
		return bson.CodeWithScope{Code: bson.JavaScript(anyString(random)), Scope: anyWithin(random, kindDocument, depth+2)}
	case kindInt32:
		return int32(random.Uint32()) >> random.IntN(32)
	case kindTimestamp:
		return bson.Timestamp{T: random.Uint32(), I: random.Uint32()}
	case kindInt64:
		corners := []int64{0, math.MinInt32, math.MaxInt32, math.MaxInt32 + 1, 1 << 53, 1<<53 + 1, math.MinInt64, math.MaxInt64}
		if random.IntN(2) == 0 {
			return corners[random.IntN(len(corners))]
		}
		return random.Int64() >> random.IntN(64)
	case kindDecimal:
		corners := []string{"0", "-0", "0.00", "NaN", "Infinity", "-Infinity", "1E+3", "1E-6176", "9.999999999999999999999999999999999E+6144", "0E+6111"}
		if random.IntN(2) == 0 {
			return mustDecimal(corners[random.IntN(len(corners))])
		}
		exponent := uint64(random.IntN(12287)+1) << 49 & (0x3FFF << 49)
		return bson.NewDecimal128(random.Uint64()&(1<<63)|exponent|uint64(random.Uint32()), random.Uint64()>>random.IntN(64))
	case kindMinKey:
		return bson.MinKey{}
	case kindMaxKey:
		return bson.MaxKey{}
	default:
		panic("no such kind")
	}
}

func anyKind(random *rand.Rand, depth int) kind {
	for {
		k := kinds()[random.IntN(len(kinds()))]
		if depth < 3 || k != kindDocument && k != kindArray && k != kindScoped {
			return k
		}
	}
}

// simpleKinds are the types that the stand-in of the local stack knows.
var simpleKinds = []kind{kindDouble, kindString, kindDocument, kindArray, kindBinary, kindObjectID, kindBool, kindDate, kindNull, kindRegex, kindInt32, kindTimestamp, kindInt64}

// simple returns a random value of a type that the stand-in knows, in place of kinds that it does not.
func simple(random *rand.Rand, k kind) any {
	if !slices.Contains(simpleKinds, k) {
		k = simpleKinds[random.IntN(len(simpleKinds))]
	}
	switch k {
	case kindDouble:
		return []float64{0, 1.5, 1e15, 1e-5, 3, float64(random.IntN(1000)) / 7}[random.IntN(6)]
	case kindDocument:
		return bson.D{{Key: "x", Value: int32(random.Uint32())}, {Key: "y", Value: bson.D{}}, {Key: "z", Value: bson.A{"a\"b", nil, int64(7)}}}
	case kindArray:
		return bson.A{oid, bson.D{{Key: "é", Value: anyString(random)}}, 2.0}[:random.IntN(4)]
	default:
		return anyOf(random, k)
	}
}

// storable returns the document without what the stand-in refuses: names held twice, names with
// dots, $ or quotes.
func storable(doc bson.D) bson.D {
	out, seen := bson.D{}, map[string]bool{"_id": true}
	for _, e := range doc {
		if seen[e.Key] || e.Key == "" || strings.ContainsAny(e.Key, `.$"`) {
			continue
		}
		seen[e.Key] = true
		if inner, ok := e.Value.(bson.D); ok {
			e.Value = storable(inner)
		}
		out = append(out, e)
	}
	return out
}

// anyString returns short texts that are rich in what CSV and JSON treat in their own ways.
func anyString(random *rand.Rand) string {
	alphabet := []rune("aé\"\\\n\r\t\x01\u2028,💊 \x7f/<>&$")
	var b strings.Builder
	for range random.IntN(6) {
		b.WriteRune(alphabet[random.IntN(len(alphabet))])
	}
	return b.String()
}
