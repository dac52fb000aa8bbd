// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"path"
	"slices"
	"strings"
	"unicode"
)

// interpreter knows how to find the program in the command line of a program
// that runs others.
type interpreter struct {
	// names are those of the executable; a version may follow ("python3.13").
	names []string
	// valueLetters are the short options that have a value, in the same word or
	// as the next one; inlineLetters those that give the program's text;
	// moduleLetter the one that names a module to run.
	valueLetters, inlineLetters, moduleLetter string
	// valueOptions are the long options that have a value, after "=" or as the
	// next word; inlineOptions those that give the program's text.
	valueOptions, inlineOptions []string
	// subcommand may stand before the options.
	subcommand string
	// extensions are left out of the name. With extensionRequired a word that has
	// none of them is not a program.
	extensions        []string
	extensionRequired bool
}

var interpreters = []interpreter{
	{
		// https://docs.python.org/3/using/cmdline.html
		names:        []string{"python", "pypy"},
		valueLetters: "QWX", inlineLetters: "c", moduleLetter: "m",
		valueOptions: []string{"--check-hash-based-pycs"},
		extensions:   []string{".py", ".pyc", ".pyz"},
	},
	{
		// https://nodejs.org/api/cli.html
		names:        []string{"node", "nodejs"},
		valueLetters: "Cr", inlineLetters: "eip",
		valueOptions: []string{
			"--allow-fs-read", "--allow-fs-write", "--build-snapshot-config", "--conditions", "--cpu-prof-dir",
			"--cpu-prof-interval", "--cpu-prof-name", "--debug-port", "--diagnostic-dir", "--disable-proto",
			"--disable-warning", "--dns-result-order", "--env-file", "--env-file-if-exists",
			"--experimental-config-file", "--experimental-default-type", "--experimental-loader",
			"--experimental-sea-config", "--heap-prof-dir", "--heap-prof-interval", "--heap-prof-name",
			"--heapsnapshot-near-heap-limit", "--heapsnapshot-signal", "--icu-data-dir", "--import", "--input-type",
			"--inspect-port", "--inspect-publish-uid", "--loader", "--localstorage-file", "--max-http-header-size",
			"--network-family-autoselection-attempt-timeout", "--openssl-config", "--redirect-warnings",
			"--report-dir", "--report-directory", "--report-filename", "--report-signal", "--require",
			"--secure-heap", "--secure-heap-min", "--snapshot-blob", "--title", "--tls-cipher-list", "--tls-keylog",
			"--trace-event-categories", "--trace-event-file-pattern", "--unhandled-rejections", "--use-largepages",
			"--v8-pool-size", "--watch-kill-signal", "--watch-path",
		},
		inlineOptions: []string{"--eval", "--interactive", "--print", "--run", "--test"},
		extensions:    []string{".js", ".mjs", ".cjs", ".ts", ".mts", ".cts"},
	},
	{
		names:        []string{"ruby"},
		valueLetters: "CEIXr", inlineLetters: "e",
		valueOptions: []string{"--encoding", "--external-encoding", "--internal-encoding"},
		extensions:   []string{".rb"},
	},
	{
		// https://learn.microsoft.com/dotnet/core/tools/dotnet
		names: []string{"dotnet"}, subcommand: "exec",
		valueOptions: []string{
			"--additional-deps", "--additionalprobingpath", "--depsfile", "--fx-version", "--roll-forward",
			"--runtimeconfig",
		},
		extensions: []string{".dll"}, extensionRequired: true,
	},
}

// javaValueOptions are the java launcher's options whose value is the next
// word (https://docs.oracle.com/en/java/javase/21/docs/specs/man/java.html).
var javaValueOptions = []string{
	"-classpath", "-cp", "--class-path", "-p", "--module-path", "--upgrade-module-path", "--add-modules",
	"--limit-modules", "--add-reads", "--add-exports", "--add-opens", "--patch-module", "--enable-native-access",
	"--source",
}

// runsOthers reports whether an executable's name says nothing of what it does.
func runsOthers(executable string) bool {
	return executable == "java" || findInterpreter(executable) != nil
}

func findInterpreter(executable string) *interpreter {
	for i := range interpreters {
		for _, name := range interpreters[i].names {
			version, ok := strings.CutPrefix(executable, name)
			if ok && (version == "" || version[0] >= '0' && version[0] <= '9') {
				return &interpreters[i]
			}
		}
	}
	return nil
}

// programName gives a name to what an interpreter runs, by its command line;
// empty where the command line does not tell. The rules are in the package
// comment.
func programName(executable string, cmdline *words) string {
	args := arguments{cmdline}
	if _, ok := args.next(); !ok { // the interpreter itself
		return ""
	}
	var name string
	if executable == "java" {
		name = javaProgram(args)
	} else if language := findInterpreter(executable); language != nil {
		name = language.program(args)
	}
	if len(name) > maxNameBytes {
		return ""
	}
	return strings.Clone(validUTF8(name))
}

// arguments are the words of a command line. A word that was cut is never a
// program's name, but counts as a word.
type arguments struct{ words *words }

// cut stands for a word that could not be read whole and is not an option.
const cut = ""

func (a arguments) next() (string, bool) {
	word, whole, ok := a.words.next()
	if ok && !whole && (len(word) == 0 || word[0] != '-') {
		return cut, true
	}
	return string(word), ok
}

// program finds the script, module or assembly behind the interpreter's own
// options.
func (l *interpreter) program(args arguments) string {
	first := true
	for {
		word, ok := args.next()
		if !ok || word == cut || word == "-" {
			return ""
		}
		if first && l.subcommand != "" && word == l.subcommand {
			first = false
			continue
		}
		first = false
		switch {
		case word == "--":
			word, _ = args.next()
			return l.scriptName(word)
		case strings.HasPrefix(word, "--"):
			option, _, hasValue := strings.Cut(word, "=")
			if slices.Contains(l.inlineOptions, option) {
				return ""
			}
			if !hasValue && slices.Contains(l.valueOptions, option) {
				args.next()
			}
		case word[0] == '-':
			name, found := l.shortOptions(word[1:], args)
			if found {
				return name
			}
		default:
			return l.scriptName(word)
		}
	}
}

// shortOptions reads a word of short options, which may stand together
// ("-um module"). Found says that no script is to be looked for any more.
func (l *interpreter) shortOptions(letters string, args arguments) (name string, found bool) {
	for i := range len(letters) { // bytes: the word may not be UTF-8
		letter := letters[i]
		switch rest := letters[i+1:]; {
		case strings.IndexByte(l.inlineLetters, letter) >= 0:
			return "", true
		case strings.IndexByte(l.moduleLetter, letter) >= 0:
			if rest == "" {
				rest, _ = args.next()
			}
			return rest, true
		case strings.IndexByte(l.valueLetters, letter) >= 0:
			if rest == "" {
				args.next()
			}
			return "", false
		}
	}
	return "", false
}

func (l *interpreter) scriptName(file string) string {
	name := baseName(file)
	for _, extension := range l.extensions {
		if trimmed, ok := strings.CutSuffix(name, extension); ok {
			return trimmed
		}
	}
	if l.extensionRequired {
		return ""
	}
	return name
}

// javaProgram finds the jar, class or module behind the launcher's own options.
func javaProgram(args arguments) string {
	jar := false
	for {
		word, ok := args.next()
		switch {
		// An @argument-file may name the main class, and then what follows are the
		// program's own arguments.
		case !ok, word == cut, word[0] == '@':
			return ""
		case word == "-jar": // a mode: more options may follow before the file
			jar = true
		case word == "-m", word == "--module":
			module, _ := args.next()
			return javaModule(module)
		case strings.HasPrefix(word, "--module="):
			return javaModule(strings.TrimPrefix(word, "--module="))
		case slices.Contains(javaValueOptions, word):
			args.next()
		case word[0] == '-':
		case jar:
			return strings.TrimSuffix(baseName(word), ".jar")
		case strings.HasSuffix(word, ".java"): // source launcher, JEP 330
			return strings.TrimSuffix(baseName(word), ".java")
		case isJavaName(word):
			return word
		default:
			return ""
		}
	}
}

// javaModule names "module/class" by the class, "module" by the module.
func javaModule(s string) string {
	module, class, hasClass := strings.Cut(s, "/")
	switch {
	case !isJavaName(module):
		return ""
	case !hasClass:
		return module
	case !isJavaName(class):
		return ""
	default:
		return class
	}
}

// isJavaName reports whether s can be the name of a class with its package. It
// keeps the value of an option unknown to us from being taken for one.
func isJavaName(s string) bool {
	for i, r := range s {
		switch {
		case r == '_', r == '$', unicode.IsLetter(r):
		case i > 0 && (r == '.' || unicode.IsDigit(r)):
		default:
			return false
		}
	}
	return s != ""
}

// baseName is the last element of a path, empty if that names nothing.
func baseName(file string) string {
	switch name := path.Base(file); name {
	case ".", "..", "/":
		return ""
	default:
		return name
	}
}
