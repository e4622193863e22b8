#!/bin/sh
# With curl: sign in, upload a video to a conversation, look at it, get its bytes, sign out.
#
#   USERNAME=anna PASSWORD=… sh upload_and_download.sh https://nexus.example.org 7 beach.mp4
set -eu
site=$1 conversation=$2 file=$3

# value NAME: of the JSON object on standard input; without it, that is an error's.
value() {
    python3 -c 'import json, sys
body = json.load(sys.stdin)
print(body[sys.argv[1]]) if sys.argv[1] in body else sys.exit(json.dumps(body))' "$1"
}

token=$(curl --fail-with-body -sS "$site/api/auth/token/" \
    --data-urlencode "username=$USERNAME" --data-urlencode "password=$PASSWORD" | value token)

# The token goes through a file: command lines can be read by everyone on the machine.
umask 077
header=$(mktemp)
trap 'rm -f "$header"' EXIT
printf 'Authorization: Token %s\n' "$token" >"$header"
api() { curl --fail-with-body -sS -H "@$header" "$@"; }

# `conversation` stands before `file`: what may not be sent is refused before it is sent.
# With the same key a second try, after a lost answer, does not make a second attachment.
key=$(python3 -c 'import uuid; print(uuid.uuid4())')
video=$(api "$site/api/chat/videos/upload/" -H "Idempotency-Key: $key" \
    -F "conversation=$conversation" -F "file=@$file" | value id)

api "$site/api/chat/attachments/$video/" | value duration_formatted
api "$site/api/chat/attachments/$video/thumbnail/" -o "thumbnail-$video.jpg"

# `-C -` goes on where an earlier try broke off.
api "$site/api/chat/videos/$video/download/" -C - -o "video-$video.mp4"

api -X POST "$site/api/auth/logout/"
echo "thumbnail-$video.jpg and video-$video.mp4 are here."
