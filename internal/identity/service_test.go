// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"strings"
	"testing"
)

func TestProgramName(t *testing.T) {
	classPath := strings.Repeat("/opt/kafka/libs/some-library-1.2.3.jar:", 2000)
	tests := []struct {
		executable string
		cmdline    []string
		want       string
	}{
		{"java", []string{"java", "-jar", "/srv/orders-1.2.jar", "--secret", "hunter2"}, "orders-1.2"},
		{"java", []string{"/usr/bin/java", "-Xmx1g", "-Dpassword=hunter2", "-jar", "orders.jar"}, "orders"},
		{"java", []string{"java", "-jar", "-Xmx1g", "orders.jar"}, "orders"},
		{"java", []string{"java", "-jar", "orders"}, "orders"},
		{"java", []string{"java", "-cp", "a.jar:b.jar", "com.acme.Orders", "hunter2"}, "com.acme.Orders"},
		{"java", []string{"java", "-Xmx1g", "-cp", classPath, "kafka.Kafka", "server.properties"}, "kafka.Kafka"},
		{"java", []string{"java", "-classpath", "x", "Main$Inner"}, "Main$Inner"},
		{"java", []string{"java", "--class-path=x", "Été"}, "Été"},
		{"java", []string{"java", "--add-opens", "java.base/java.lang=ALL-UNNAMED", "-p", "mods", "a.B"}, "a.B"},
		{"java", []string{"java", "-p", "mods", "-m", "com.acme/com.acme.Main", "hunter2"}, "com.acme.Main"},
		{"java", []string{"java", "--module-path", "mods", "--module", "com.acme"}, "com.acme"},
		{"java", []string{"java", "--module=com.acme/com.acme.Main"}, "com.acme.Main"},
		{"java", []string{"java", "-m", "../x"}, ""},
		{"java", []string{"java", "-m", "com.acme/x-y"}, ""},
		{"java", []string{"java", "-m"}, ""},
		{"java", []string{"java", "--source", "21", "/srv/Orders.java", "hunter2"}, "Orders"},
		{"java", []string{"java", "@arguments", "hunter2"}, ""},
		{"java", []string{"java", "--an-option-of-tomorrow", "/etc/hunter2"}, ""},
		{"java", []string{"java", "-version"}, ""},
		{"java", []string{"java", "-jar"}, ""},
		{"java", []string{"java", "-jar", "/"}, ""},
		{"java", []string{"java", "", "hunter2"}, ""},
		{"java", []string{"java"}, ""},
		{"java", nil, ""},

		{"python3.13", []string{"python3", "/srv/orders.py", "hunter2"}, "orders"},
		{"python3.13", []string{"python3", "-u", "-W", "ignore", "-X", "dev", "orders.py"}, "orders"},
		{"python3.13", []string{"python3", "-Wignore", "-Xdev", "/usr/local/bin/gunicorn", "app:app"}, "gunicorn"},
		{"python3.13", []string{"python3", "--check-hash-based-pycs", "never", "orders.pyc"}, "orders"},
		{"python3", []string{"python3", "-m", "orders.consumer", "hunter2"}, "orders.consumer"},
		{"python3", []string{"python3", "-um", "orders"}, "orders"},
		{"python3", []string{"python3", "-morders"}, "orders"},
		{"python", []string{"python", "-c", "hunter2"}, ""},
		{"python", []string{"python", "-Bc", "hunter2"}, ""},
		{"python", []string{"python", "-", "hunter2"}, ""},
		{"python", []string{"python", "-m"}, ""},
		{"python", []string{"python", "--", "-orders.py"}, "-orders"},
		{"python", []string{"python", "--"}, ""},
		{"python", []string{"python", "/srv/orders/"}, "orders"},
		{"python", []string{"python", "."}, ""},
		{"pypy3.10", []string{"pypy3", "orders.py"}, "orders"},
		{"python3.13", []string{"python3", "caf\xe9.py"}, "caf\uFFFD"},
		{"python3.13", []string{"gunicorn: worker [orders]"}, ""},

		{"node", []string{"node", "/srv/orders.js", "hunter2"}, "orders"},
		{"node", []string{"node", "--max-old-space-size=4096", "--require", "./tracing.js", "orders.mjs"}, "orders"},
		{"node", []string{"node", "-r", "dotenv/config", "--import=./tracing.mjs", "dist/orders"}, "orders"},
		{"node", []string{"node", "--title", "hunter2", "--env-file", ".env", "orders.ts"}, "orders"},
		{"node", []string{"node", "--inspect", "orders.cjs"}, "orders"},
		{"node", []string{"node", "-e", "hunter2"}, ""},
		{"node", []string{"node", "-pe", "hunter2"}, ""},
		{"node", []string{"node", "--eval", "hunter2"}, ""},
		{"node", []string{"node", "--eval=hunter2"}, ""},
		{"nodejs", []string{"node", "orders.js"}, "orders"},
		{"node", []string{"node", "--require"}, ""},
		{"node", []string{"node", "-\xb0", "orders.js"}, "orders"},

		{"ruby3.1", []string{"ruby", "-I", "lib", "-rbundler/setup", "/usr/bin/karafka", "server"}, "karafka"},
		{"ruby", []string{"ruby", "-W2", "orders.rb"}, "orders"},
		{"ruby", []string{"ruby", "-e", "hunter2"}, ""},

		{"dotnet", []string{"dotnet", "/srv/Orders.dll", "hunter2"}, "Orders"},
		{"dotnet", []string{"dotnet", "exec", "--depsfile", "x.json", "Orders.dll"}, "Orders"},
		{"dotnet", []string{"dotnet", "--roll-forward", "Major", "Acme.Orders.dll"}, "Acme.Orders"},
		{"dotnet", []string{"dotnet", "run", "--project", "hunter2.dll"}, ""},
		{"dotnet", []string{"dotnet", "exec", "exec", "hunter2.dll"}, ""},

		{"node", []string{"node", strings.Repeat("x", maxWordBytes) + ".js"}, ""},
		{"node", []string{"node", strings.Repeat("x", maxNameBytes) + "y.js"}, ""},
		{"orders", []string{"orders", "hunter2"}, ""},
	}
	for _, test := range tests {
		name := strings.Join(append([]string{test.executable, "of"}, test.cmdline...), " ")
		t.Run(name[:min(len(name), 80)], func(t *testing.T) {
			if got := programName(test.executable, newWords(strings.NewReader(nulTerminated(test.cmdline)))); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestRunsOthers(t *testing.T) {
	for executable, want := range map[string]bool{
		"java": true, "python": true, "python3": true, "python3.13t": true, "pypy3": true, "node": true,
		"nodejs": true, "node20": true, "ruby2.7": true, "dotnet": true,
		"": false, "javac": false, "java-app": false, "node_exporter": false, "pythonista": false,
		"python-app": false, "rubymine": false, "orders": false, "bash": false,
	} {
		if got := runsOthers(executable); got != want {
			t.Errorf("runsOthers(%q) = %v", executable, got)
		}
	}
}

func FuzzProgramName(f *testing.F) {
	for _, executable := range []string{"java", "python3", "node", "ruby", "dotnet"} {
		f.Add(executable, "x\x00-jar\x00a.jar\x00")
		f.Add(executable, "x\x00-um\x00module\x00-r\x00")
		f.Add(executable, "x\x00--title=\x00--\x00\xff\x00")
		f.Add(executable, "x\x00-\xb0")
	}
	f.Fuzz(func(t *testing.T, executable, cmdline string) {
		name := programName(executable, newWords(strings.NewReader(cmdline)))
		if name != validUTF8(name) || len(name) > 3*maxNameBytes {
			t.Errorf("%q of %q", name, cmdline)
		}
	})
}
