module turnpike.test/pion

go 1.19

require (
	github.com/pion/turn/v2 v2.1.0
	github.com/pion/webrtc/v3 v3.1.56
)
