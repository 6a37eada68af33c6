#!/bin/sh
# Makes the recordings of this folder from one of models/speech, in every container and codec that people send. Needs ffmpeg.
set -eu
cd "$(dirname "$0")/recordings"
said=../../../../../models/speech/012.wav
make() { ffmpeg -loglevel error -y -i "$said" -fflags +bitexact -flags:a +bitexact -map_metadata -1 "$@"; }
make -ar 44100 -c:a libmp3lame -b:a 48k speech.mp3
make -ar 24000 -c:a flac speech.flac
make -ar 48000 -ac 2 -c:a libopus -b:a 24k speech.opus.ogg
make -ar 44100 -c:a libvorbis -q:a 5 speech.vorbis.ogg
make -ar 48000 -c:a libopus -b:a 24k -f webm speech.webm
# As a browser's recorder writes it: without durations, and without sizes of what is still open.
make -ar 48000 -c:a libopus -b:a 24k -f webm -live 1 speech.live.webm
make -ar 44100 -c:a aac -b:a 64k speech.m4a
make -ar 48000 -c:a aac -b:a 64k -movflags +frag_keyframe+empty_moov+default_base_moof -frag_duration 500000 -f mp4 speech.fragmented.mp4
make -ar 44100 -ac 2 -c:a aac -b:a 64k -f adts speech.aac
make -ar 16000 -c:a pcm_alaw -f wav speech.alaw.wav
ffmpeg -loglevel error -y -f lavfi -i testsrc=size=32x32:rate=2:duration=1 -an -c:v mpeg4 -fflags +bitexact silent-film.mp4
ffmpeg -loglevel error -y -f lavfi -i testsrc=size=32x32:rate=2:duration=3 -i "$said" -shortest -c:v mpeg4 -c:a aac -b:a 64k -fflags +bitexact film.mp4
