// A program that keeps its login in a JSON file beside others that use the same one.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"golang.org/x/oauth2"
)

var (
	tokenFile = os.Getenv("TOKEN_FILE")
	config    = &oauth2.Config{
		ClientID:     os.Getenv("CLIENT_ID"),
		ClientSecret: os.Getenv("CLIENT_SECRET"),
		Endpoint:     oauth2.Endpoint{TokenURL: os.Getenv("TOKEN_URL")},
	}
)

type report struct {
	Granted int     `json:"granted"`
	Bad     int     `json:"bad"`
	Lost    *string `json:"lost"`
}

// current is the token of the file, or another one where it has ended.
func current(ctx context.Context) (*oauth2.Token, error) {
	text, err := os.ReadFile(tokenFile)
	if err != nil {
		return nil, err
	}
	kept := &oauth2.Token{}
	if err := json.Unmarshal(text, kept); err != nil {
		return nil, err
	}
	if time.Now().Before(kept.Expiry) {
		return kept, nil
	}
	token, err := config.TokenSource(ctx, kept).Token()
	if err != nil {
		return nil, err
	}
	if text, err = json.Marshal(token); err != nil {
		return nil, err
	}
	beside := fmt.Sprintf("%s.%d", tokenFile, os.Getpid())
	if err := os.WriteFile(beside, text, 0o600); err != nil {
		return nil, err
	}
	return token, os.Rename(beside, tokenFile)
}

func live(ctx context.Context, expiries int) report {
	var seen report
	last := ""
	for seen.Granted < expiries {
		token, err := current(ctx)
		for tries := 1; err != nil && tries < 3; tries++ {
			// Another process may have written a new login meanwhile.
			time.Sleep(time.Second)
			token, err = current(ctx)
		}
		if err != nil {
			said := err.Error()
			var refused *oauth2.RetrieveError
			if errors.As(err, &refused) && refused.ErrorCode != "" {
				said = refused.ErrorCode
			}
			seen.Lost = &said
			return seen
		}
		// Another process may have written the same one again.
		if token.AccessToken != last {
			seen.Granted++
		}
		last = token.AccessToken
		if !works(ctx, token) && time.Now().Before(token.Expiry) {
			seen.Bad++
		}
		time.Sleep(time.Until(token.Expiry))
	}
	return seen
}

func works(ctx context.Context, token *oauth2.Token) bool {
	// A static source, because the one of the config refreshes 10 s before the end, which is before the beginning here.
	answer, err := oauth2.NewClient(ctx, oauth2.StaticTokenSource(token)).Get(os.Getenv("API_URL"))
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

func main() {
	expiries, err := strconv.Atoi(os.Getenv("EXPIRIES"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "EXPIRIES must be a number")
		os.Exit(2)
	}
	_ = json.NewEncoder(os.Stdout).Encode(live(context.Background(), expiries))
}
