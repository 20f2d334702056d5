package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/pion/dtls/v2"
	"github.com/pion/turn/v2"
)

// relayedPair allocates twice and sends from relay to relay.
func relayedPair(to server) error {
	one, err := allocate(to)
	if err != nil {
		return err
	}
	other, err := allocate(to)
	if err != nil {
		return err
	}
	time.Sleep(to.pause)
	// The first datagram of each side makes the permission; what comes before the other side has its own is dropped.
	for _, pair := range [][2]net.PacketConn{{one, other}, {other, one}} {
		if _, err := pair[0].WriteTo([]byte("open"), pair[1].LocalAddr()); err != nil {
			return err
		}
	}
	if err := exchange(one, other, "there"); err != nil {
		return err
	}
	if err := exchange(other, one, "back"); err != nil {
		return err
	}
	if err := one.Close(); err != nil {
		return err
	}
	return other.Close()
}

func exchange(sender, receiver net.PacketConn, name string) error {
	buffer := make([]byte, 1500)
	for number := 0; number < messages; number++ {
		message := fmt.Sprintf("%s %d", name, number)
		if _, err := sender.WriteTo([]byte(message), receiver.LocalAddr()); err != nil {
			return err
		}
		for {
			length, from, err := receiver.ReadFrom(buffer)
			if err != nil {
				return err
			}
			if string(buffer[:length]) == "open" {
				continue
			}
			if string(buffer[:length]) != message || from.String() != sender.LocalAddr().String() {
				return fmt.Errorf("sent %q, received %q from %s", message, buffer[:length], from)
			}
			break
		}
	}
	return nil
}

func allocate(to server) (net.PacketConn, error) {
	conn, err := connect(to)
	if err != nil {
		return nil, err
	}
	client, err := turn.NewClient(&turn.ClientConfig{
		STUNServerAddr: net.JoinHostPort(to.host, to.port),
		TURNServerAddr: net.JoinHostPort(to.host, to.port),
		Conn:           conn,
		Username:       to.username,
		Password:       to.password,
	})
	if err != nil {
		return nil, err
	}
	if err := client.Listen(); err != nil {
		return nil, err
	}
	return client.Allocate()
}

// connect opens the way to the server; certificates are judged by Go's own roots (SSL_CERT_FILE).
func connect(to server) (net.PacketConn, error) {
	address := net.JoinHostPort(to.host, to.port)
	switch to.transport {
	case "udp":
		return net.ListenPacket("udp", ":0")
	case "tcp":
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return nil, err
		}
		return turn.NewSTUNConn(conn), nil
	case "tls":
		conn, err := tls.Dial("tcp", address, &tls.Config{ServerName: to.host, MinVersion: tls.VersionTLS12})
		if err != nil {
			return nil, err
		}
		return turn.NewSTUNConn(conn), nil
	case "dtls":
		udp, err := net.ResolveUDPAddr("udp", address)
		if err != nil {
			return nil, err
		}
		roots, err := rootsFromEnvironment()
		if err != nil {
			return nil, err
		}
		conn, err := dtls.Dial("udp", udp, &dtls.Config{ServerName: to.host, RootCAs: roots})
		if err != nil {
			return nil, err
		}
		return &datagrams{conn}, nil
	}
	return nil, fmt.Errorf("unknown transport %s", to.transport)
}

// datagrams makes a packet connection of one that is connected.
type datagrams struct{ net.Conn }

func (d *datagrams) ReadFrom(buffer []byte) (int, net.Addr, error) {
	length, err := d.Read(buffer)
	return length, d.RemoteAddr(), err
}

func (d *datagrams) WriteTo(buffer []byte, _ net.Addr) (int, error) {
	return d.Write(buffer)
}
