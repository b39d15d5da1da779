package strictyaml

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type rack struct {
	Name  *string  `yaml:"name"`
	Units *int     `yaml:"units"`
	Live  *bool    `yaml:"live"`
	Tags  []string `yaml:"tags"`
	Slots []slot   `yaml:"slots"`
	Extra Value    `yaml:"extra"`
}

type slot struct {
	ID   int    `yaml:"id"`
	Name string `yaml:"name"`
}

func TestDecode(t *testing.T) {
	const text = "\ufeff" + `# a rack
name: "no"
units: -42
live: true
tags: [a, '7', 02:00:00:00:00:11, 802.1q, "12:30"]
slots:
  - {id: 0, name: first}
  -
    id: 1
extra: {any: [thing]}
`
	var got rack
	lines, err := Decode([]byte(text), &got)
	if err != nil {
		t.Fatal(err)
	}
	if *got.Name != "no" || *got.Units != -42 || !*got.Live {
		t.Errorf("name %q, units %d, live %t", *got.Name, *got.Units, *got.Live)
	}
	if diff := cmp.Diff([]string{"a", "7", "02:00:00:00:00:11", "802.1q", "12:30"}, got.Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]slot{{0, "first"}, {1, ""}}, got.Slots); diff != "" {
		t.Errorf("slots (-want +got):\n%s", diff)
	}
	if word, ok := got.Extra.Field("any").Items()[0].Scalar(); word != "thing" || !ok {
		t.Errorf("extra holds %q, %t", word, ok)
	}
	at := map[string]int{}
	for _, path := range []string{"name", "slots", "slots[1].id", "slots[0].absent", "slots[1].id.below", "extra.any[0]", "none"} {
		at[path] = lines.At(path)
	}
	want := map[string]int{
		"name": 2, "slots": 6, "slots[1].id": 9, "slots[0].absent": 7, "slots[1].id.below": 9, "extra.any[0]": 10, "none": 2,
	}
	if diff := cmp.Diff(want, at); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestDecodeReadsJSON(t *testing.T) {
	var got rack
	_, err := Decode([]byte("{\n\t\"name\": \"a\\u00e9\\n\\t\",\n\t\"units\": 1e3\n}"), &got)
	want := "line 2: name: the character U+000A may not be in a value"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := Decode([]byte("{\n\t\"name\": \"a\\u00e9\",\n\t\"tags\": [\n\t\t\"x\"\n\t]\n}"), &got); err != nil {
		t.Error(err)
	}
}

func TestRefusals(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"empty", "", "there is nothing but blanks and comments"},
		{"comments", "# one\n\n# two\n", "there is nothing but blanks and comments"},
		{"start of nothing", "---\n", "there is nothing but blanks and comments"},
		{"null document", "null", "line 1: there is no value"},
		{"two documents", "name: a\n---\nname: b\n", "line 2: a second document begins here; there may be only one"},
		{"broken second document", "name: a\n---\n{", "line 3: not YAML: did not find expected node content"},
		{"broken", "name: [", "line 1: not YAML: did not find expected node content"},
		{"broken later", "name: a\n\ntags: [a\nunits: 1", "line 3: not YAML: did not find expected ',' or ']'"},
		{"broken map", "name: a\nslots:\n  - id: 1\n   name: x\n\n", "line 3: not YAML: did not find expected '-' indicator"},
		{"broken by its end", "name: a\ntags: [\n\n", "line 2: not YAML: did not find expected node content"},
		{"quote without end", "name: a\n\ntags: 'a\n\n", "line 3: not YAML: found unexpected end of stream"},
		{"colons", "name: b: c", "line 1: not YAML: mapping values are not allowed in this context"},
		{"tab", "slots:\n\t- {id: 1}", "line 2: not YAML: found character that cannot start any token"},
		{"NUL", "name: a\nunits: \x001", "line 2: the character U+0000 may not be in the text"},
		{"escaped NUL", `name: "a\0"`, "line 1: name: the character U+0000 may not be in a value"},
		{"escape character", "\x1b[2J", "line 1: the character U+001B may not be in the text"},
		{"next line", "name: a\u0085units: 1", "line 1: the character U+0085 may not be in the text"},
		{"line separator", "name: a\u2028units: 1", "line 1: the character U+2028 may not be in the text"},
		{"second byte order mark", "name: \ufeffa", "line 1: the character U+FEFF may not be in the text"},
		{"latin-1", "# ok\nname: caf\xe9", "line 2: byte 0xe9 is not UTF-8"},
		{"utf-16", "\xff\xfen\x00", "line 1: byte 0xff is not UTF-8"},
		{"line break in a value", "name: |\n  a\n", "line 1: name: the character U+000A may not be in a value"},
		{"anchor", "name: &here a", `line 1: name: the anchor "&here" is not accepted`},
		{
			"alias", "tags: &t [a]\nslots: *t",
			"line 1: tags: the anchor \"&t\" is not accepted\nline 2: slots: the alias \"*t\" is not accepted; write the value out",
		},
		{"dangling alias", "name: *x", "not YAML: unknown anchor 'x' referenced"},
		{"merge key", "<<: {name: a}", "line 1: the merge key << is not accepted; write the values out"},
		{"tag", "units: !!int 5", `line 1: units: the tag "!!int" is not accepted`},
		{"own tag", "name: !include x", `line 1: name: the tag "!include" is not accepted`},
		{"key as a list", "? [a]\n: b", "line 1: a key must be a plain text"},
		{"key as a number", "5: b", `line 1: the key "5" is not a text until it has quotes`},
		{"key twice", "name: a\nunits: 1\n\"name\": b", `line 3: the key "name" is there twice, first in line 1`},
		{
			"key twice below", "slots:\n- id: 1\n- id: 1\n  id: 2",
			`line 4: slots[1]: the key "id" is there twice, first in line 3`,
		},
		{
			"deep", "extra: [[[[[[[[[[[[a]]]]]]]]]]]]",
			"line 1: extra[0][0][0][0][0][0][0][0][0][0][0]: lists and maps lie more than 12 deep in each other",
		},
		{"unknown key", "name: a\nnmae: b", `line 2: unknown key "nmae"; known here are name, units, live, tags, slots, extra`},
		{"unknown key below", "slots: [{id: 1, size: 2}]", `line 1: slots[0]: unknown key "size"; known here are id, name`},
		{"null", "units:", "line 1: units: there is no value"},
		{"tilde", "tags: [~]", "line 1: tags[0]: there is no value"},
		{"text as a number", `units: "5"`, `line 1: units: "5" is a text; write it without quotes`},
		{"word as a number", "units: many", `line 1: units: "many" is not a whole decimal number`},
		{"octal", "units: 0755", `line 1: units: "0755" is not a whole decimal number`},
		{"new octal", "units: 0o17", `line 1: units: "0o17" is not a whole decimal number`},
		{"hexadecimal", "units: 0x10", `line 1: units: "0x10" is not a whole decimal number`},
		{"underscore", "units: 1_000", `line 1: units: "1_000" is not a whole decimal number`},
		{"base 60", "units: 1:30", `line 1: units: "1:30" is not a whole decimal number`},
		{"fraction", "units: 1.0", `line 1: units: "1.0" is not a whole decimal number`},
		{"exponent", "units: 1e3", `line 1: units: "1e3" is not a whole decimal number`},
		{"plus", "units: +1", `line 1: units: "+1" is not a whole decimal number`},
		{"huge", "units: 99999999999999999999", `line 1: units: "99999999999999999999" is out of range`},
		{"bool as a number", "units: true", `line 1: units: "true" is not a whole decimal number`},
		{"list as a number", "units: [1]", "line 1: units: this must be a number, not a list"},
		{"yes", "live: yes", `line 1: live: "yes" is neither true nor false`},
		{"True", "live: True", `line 1: live: "True" is neither true nor false`},
		{"one", "live: 1", `line 1: live: "1" is neither true nor false`},
		{"quoted true", "live: 'true'", `line 1: live: "true" is a text; write it without quotes`},
		{"map as a bool", "live: {}", "line 1: live: this must be true or false, not a map"},
		{"number as a text", "name: 5", `line 1: name: "5" without quotes is a number; as a text it needs quotes`},
		{"bool as a text", "name: false", `line 1: name: "false" without quotes is true or false; as a text it needs quotes`},
		{"no as a text", "name: no", `line 1: name: "no" without quotes is not a text to every reader of YAML; it needs quotes`},
		{"float as a text", "name: 1.1", `line 1: name: "1.1" without quotes is not a text to every reader of YAML; it needs quotes`},
		{"date as a text", "name: 2001-01-01", `line 1: name: "2001-01-01" without quotes is not a text to every reader of YAML; it needs quotes`},
		{"base 60 as a text", "name: 12:30:45", `line 1: name: "12:30:45" without quotes is not a text to every reader of YAML; it needs quotes`},
		{"list as a text", "name: [a]", "line 1: name: this must be a text, not a list"},
		{"text as a list", "tags: a", "line 1: tags: this must be a list, not a text"},
		{"text as a map", "slots: [a]", "line 1: slots[0]: this must be a map, not a text"},
		{"list as the document", "- a", "line 1: this must be a map, not a list"},
		{
			"all at once", "slots:\n- id: x\n- nmae: y\nunits: z",
			"line 2: slots[0].id: \"x\" is not a whole decimal number\n" +
				"line 3: slots[1]: unknown key \"nmae\"; known here are id, name\n" +
				"line 4: units: \"z\" is not a whole decimal number",
		},
		{"odd keys in a path", `extra: {"a.b[0]": {c: 1, c: 2}}`, `line 1: extra["a_b_0_"]: the key "c" is there twice, first in line 1`},
		{"long value", "units: x" + strings.Repeat("é", 100), `line 1: units: "x` + strings.Repeat("é", 31) + `"… is not a whole decimal number`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Decode([]byte(test.text), &rack{})
			if err == nil {
				t.Fatal("accepted")
			}
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if got, want := errors.Is(err, ErrEmpty), strings.Contains(test.want, "nothing but"); got != want {
				t.Errorf("ErrEmpty is %t, want %t", got, want)
			}
		})
	}
}

func TestKinds(t *testing.T) {
	const text = `[a, "a", 'yes', yes, 5, -5, "5", 05, 5.5, true, TRUE, null, ~, [], {}, 0x1, 1:30]`
	root, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []Kind{
		Text, Text, Text, Ambiguous, Number, Number, Text, Ambiguous, Ambiguous, Bool, Ambiguous, Null, Null, List, Map,
		Ambiguous, Ambiguous,
	}
	var got []Kind
	for _, item := range root.Items() {
		got = append(got, item.Kind())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
	if kind := root.Field("a").Kind(); kind != Absent {
		t.Errorf("a field of a list is %s", kind)
	}
}

func TestProblemsAreBoundedAndInOrder(t *testing.T) {
	root, err := Parse([]byte("a: 1\nb: 2\nc: 3"))
	if err != nil {
		t.Fatal(err)
	}
	problems := root.Problems()
	if err := problems.Err(); err != nil {
		t.Errorf("no problem is %v", err)
	}
	problems.Addf("c", "last")
	problems.Add(Errors{{Line: 1, Path: "a", Message: "first"}})
	problems.Add(nil)
	problems.Add(errors.New("nowhere"))
	want := "nowhere\nline 1: a: first\nline 3: c: last"
	if got := problems.Err(); got == nil || got.Error() != want {
		t.Errorf("got %v, want %s", got, want)
	}
	for range 100 {
		problems.Addf("b", "again")
	}
	var found Errors
	if !errors.As(problems.Err(), &found) || len(found) != maxErrors {
		t.Errorf("%d errors, want %d", len(found), maxErrors)
	}
}
