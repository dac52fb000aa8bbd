// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"errors"
	"fmt"
	"regexp"
)

// FilterConfig chooses names by regular expressions (RE2). An expression matches if it matches any part of the name:
// anchor it with ^ and $ to match the whole.
type FilterConfig struct {
	// Include, if not empty, keeps only names that one of these matches.
	Include []string `mapstructure:"include"`
	// Exclude takes names away that one of these matches. It wins over Include.
	Exclude []string `mapstructure:"exclude"`
}

// Validate reports every expression that does not compile.
func (f *FilterConfig) Validate() error {
	_, err := f.compile()
	return err
}

func (f *FilterConfig) compile() (*Filter, error) {
	include, errInclude := compileAll("include", f.Include)
	exclude, errExclude := compileAll("exclude", f.Exclude)
	if err := errors.Join(errInclude, errExclude); err != nil {
		return nil, err
	}
	return &Filter{include: include, exclude: exclude}, nil
}

func compileAll(key string, expressions []string) ([]*regexp.Regexp, error) {
	var errs []error
	compiled := make([]*regexp.Regexp, 0, len(expressions))
	for _, expression := range expressions {
		re, err := regexp.Compile(expression)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %q is not a regular expression (%w); allowed: RE2 syntax, see"+
				" https://golang.org/s/re2syntax", key, expression, err))
			continue
		}
		compiled = append(compiled, re)
	}
	return compiled, errors.Join(errs...)
}

// Filter is a compiled FilterConfig. It is safe for concurrent use.
type Filter struct {
	include, exclude []*regexp.Regexp
}

// Match reports whether the filter keeps the name.
func (f *Filter) Match(name string) bool {
	if len(f.include) > 0 && !matchAny(f.include, name) {
		return false
	}
	return !matchAny(f.exclude, name)
}

func matchAny(expressions []*regexp.Regexp, name string) bool {
	for _, re := range expressions {
		if re.MatchString(name) {
			return true
		}
	}
	return false
}
