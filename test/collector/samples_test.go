// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestScrape(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte("# TYPE lag gauge\nlag{group=\"a\",partition=\"0\"} 3\nlag{group=\"b\",partition=\"0\"} 9007199254740993\n" +
			"# TYPE commits_total counter\ncommits_total{group=\"a\"} 5\n"))
	}))
	defer server.Close()
	samples, err := scrape(t.Context(), server.URL)
	require.NoError(t, err)
	require.Len(t, samples, 3)
	require.Equal(t, Samples{{Name: "lag", Labels: map[string]string{"group": "a", "partition": "0"}, Value: 3}}, samples.Named("lag").With("group", "a"))
	require.Equal(t, `commits_total{group="a"} 5`, samples.Named("commits_total")[0].String())
}

func TestScrapeReportsStatus(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	_, err := scrape(t.Context(), server.URL)
	require.ErrorContains(t, err, "404")
}
