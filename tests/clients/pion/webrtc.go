package main

import (
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/pion/webrtc/v3"
)

// dataChannelPair connects two peer connections, relay only, and sends over a data channel.
func dataChannelPair(to server) error {
	one, err := newPeer(to)
	if err != nil {
		return err
	}
	other, err := newPeer(to)
	if err != nil {
		return err
	}
	incoming := make(chan *webrtc.DataChannel, 1)
	other.OnDataChannel(func(channel *webrtc.DataChannel) {
		channel.OnOpen(func() { incoming <- channel })
	})
	channel, err := one.CreateDataChannel("e2e", nil)
	if err != nil {
		return err
	}
	opened := make(chan struct{})
	channel.OnOpen(func() { close(opened) })
	if err := introduce(one, other, to.pause); err != nil {
		return err
	}
	<-opened
	counterpart := <-incoming
	if err := talk(channel, counterpart, "there"); err != nil {
		return err
	}
	return talk(counterpart, channel, "back")
}

func newPeer(to server) (*webrtc.PeerConnection, error) {
	scheme, transport := "turn", to.transport
	switch to.transport {
	case "tls":
		scheme, transport = "turns", "tcp"
	case "dtls":
		scheme, transport = "turns", "udp"
	}
	return webrtc.NewPeerConnection(webrtc.Configuration{
		ICEServers: []webrtc.ICEServer{{
			URLs:       []string{fmt.Sprintf("%s:%s?transport=%s", scheme, net.JoinHostPort(to.host, to.port), transport)},
			Username:   to.username,
			Credential: to.password,
		}},
		ICETransportPolicy: webrtc.ICETransportPolicyRelay,
	})
}

// introduce exchanges complete descriptions; between them is the pause.
func introduce(one, other *webrtc.PeerConnection, pause time.Duration) error {
	offer, err := one.CreateOffer(nil)
	if err != nil {
		return err
	}
	if err := gather(one, offer); err != nil {
		return err
	}
	time.Sleep(pause)
	if err := other.SetRemoteDescription(*one.LocalDescription()); err != nil {
		return err
	}
	answer, err := other.CreateAnswer(nil)
	if err != nil {
		return err
	}
	if err := gather(other, answer); err != nil {
		return err
	}
	return one.SetRemoteDescription(*other.LocalDescription())
}

func gather(peer *webrtc.PeerConnection, description webrtc.SessionDescription) error {
	complete := webrtc.GatheringCompletePromise(peer)
	if err := peer.SetLocalDescription(description); err != nil {
		return err
	}
	<-complete
	if !strings.Contains(peer.LocalDescription().SDP, " typ relay ") {
		return fmt.Errorf("no relay candidate")
	}
	return nil
}

func talk(sender, receiver *webrtc.DataChannel, name string) error {
	received := make(chan string, messages)
	receiver.OnMessage(func(message webrtc.DataChannelMessage) { received <- string(message.Data) })
	for number := 0; number < messages; number++ {
		if err := sender.SendText(fmt.Sprintf("%s %d", name, number)); err != nil {
			return err
		}
	}
	for number := 0; number < messages; number++ {
		if message := <-received; message != fmt.Sprintf("%s %d", name, number) {
			return fmt.Errorf("expected %s %d, received %s", name, number, message)
		}
	}
	return nil
}
