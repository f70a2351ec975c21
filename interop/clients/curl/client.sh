#!/bin/sh
# A script that keeps its login in a JSON file beside others that use the same one.
set -u
granted=0
bad=0
last=

field() { sed -n "s/.*\"$1\":[ ]*\"\{0,1\}\([^\",}]*\).*/\1/p"; }
report() { printf '{"granted":%d,"bad":%d,"lost":%s}\n' "$granted" "$bad" "$1"; exit 0; }

# Prints the token of the file, or another one where it has ended.
token() {
  login=$(cat "$TOKEN_FILE")
  expires_at=$(printf '%s' "$login" | field expires_at)
  if [ "$(date +%s)" -ge "$expires_at" ]; then
    answer=$(curl --silent --max-time 60 --request POST "$TOKEN_URL" \
      --data-urlencode grant_type=refresh_token \
      --data-urlencode "client_id=$CLIENT_ID" \
      --data-urlencode "client_secret=$CLIENT_SECRET" \
      --data-urlencode "refresh_token=$(printf '%s' "$login" | field refresh_token)")
    access_token=$(printf '%s' "$answer" | field access_token)
    if [ -z "$access_token" ]; then
      printf '%s' "$answer" | field error >&2
      return 1
    fi
    expires_at=$(($(date +%s) + $(printf '%s' "$answer" | field expires_in)))
    printf '{"access_token":"%s","refresh_token":"%s","expires_at":%d}\n' \
      "$access_token" "$(printf '%s' "$answer" | field refresh_token)" "$expires_at" > "$TOKEN_FILE.$$"
    mv "$TOKEN_FILE.$$" "$TOKEN_FILE"
    login=$(cat "$TOKEN_FILE")
  fi
  printf '%s' "$login"
}

while [ "$granted" -lt "$EXPIRIES" ]; do
  tries=0
  until login=$(token 2> "$TOKEN_FILE.error.$$"); do
    # Another process may have written a new login meanwhile.
    tries=$((tries + 1))
    if [ "$tries" -ge 3 ]; then report "\"$(cat "$TOKEN_FILE.error.$$")\""; fi
    sleep 1
  done
  access_token=$(printf '%s' "$login" | field access_token)
  # Another process may have written the same one again.
  if [ "$access_token" != "$last" ]; then granted=$((granted + 1)); fi
  last=$access_token
  expires_at=$(printf '%s' "$login" | field expires_at)
  status=$(curl --silent --max-time 60 --output /dev/null --write-out '%{http_code}' \
    --header "Authorization: Bearer $access_token" "$API_URL")
  if [ "$status" != 200 ] && [ "$(date +%s)" -lt "$expires_at" ]; then bad=$((bad + 1)); fi
  left=$((expires_at - $(date +%s)))
  if [ "$left" -gt 0 ]; then sleep "$left"; fi
done
report null
