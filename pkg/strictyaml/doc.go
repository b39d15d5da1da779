// Package strictyaml reads one YAML or JSON document into plain structs and takes nothing for granted: an unknown key,
// a key that is there twice, a value of another type, an anchor, an alias, a merge key, a tag or a second document is an
// error that names its line and its place.
//
// It owns the reading: the form of the text, the lines of its values, and the wording of errors about both. What a
// value means is the caller's: a caller checks what was decoded and reports through Problems, so that its errors have
// the same form.
//
// Plain scalars that YAML 1.1 and YAML 1.2 read differently (yes, 0777, 12:30:00) are refused where a text is wanted
// until they are quoted, and a number is plain decimal and nothing else.
//
// The size of a text is limited by the caller. The package imports no package of this project.
package strictyaml
