// Two pion clients that may only use the relay send each other data.
//
//	pion webrtc|turn HOST PORT udp|tcp|tls|dtls USERNAME PASSWORD PAUSE_SECONDS
//
// "webrtc" is pion's WebRTC stack with a data channel, "turn" its TURN client alone, which also speaks IPv6.
// The pause is between the allocation and the first permission. Prints one line per direction and ends with 0.
//
// It is built from Debian's Go packages, without modules: GO111MODULE=off, GOPATH with /usr/share/gocode in it.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

const (
	patience = 20 * time.Second
	messages = 50
)

// server is where and as whom to connect.
type server struct {
	host, port, transport, username, password string
	pause                                     time.Duration
}

func main() {
	if len(os.Args) != 8 {
		fail(fmt.Errorf("usage: pion webrtc|turn HOST PORT udp|tcp|tls|dtls USERNAME PASSWORD PAUSE_SECONDS"))
	}
	seconds, err := strconv.Atoi(os.Args[7])
	if err != nil {
		fail(err)
	}
	to := server{os.Args[2], os.Args[3], os.Args[4], os.Args[5], os.Args[6], time.Duration(seconds) * time.Second}
	time.AfterFunc(patience+to.pause, func() { fail(fmt.Errorf("not done in time")) })
	if os.Args[1] == "turn" {
		err = relayedPair(to)
	} else {
		err = dataChannelPair(to)
	}
	if err != nil {
		fail(err)
	}
	fmt.Printf("there: %d messages\nback: %d messages\n", messages, messages)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
