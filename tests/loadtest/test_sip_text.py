"""What a relay changes in a SIP message, and what it leaves."""

from loadtest.sip_text import call_id, media_address, redirected

BODY = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n"
    b"m=audio 40000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtcp:40001\r\na=sendrecv\r\n"
)
INVITE = (
    b"INVITE sip:agent@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5062;branch=z9hG4bK1;rport\r\n"
    b"Contact: <sip:caller-0x1@192.0.2.7:5062>;expires=60\r\nCall-ID: abc@here\r\nCSeq: 1 INVITE\r\n"
    b"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)


def test_reads_call_id_and_media() -> None:
    assert call_id(INVITE) == "abc@here"
    assert call_id(INVITE.replace(b"Call-ID", b"i")) == "abc@here"
    assert call_id(b"\r\n\r\n") is None
    assert media_address(INVITE) == ("192.0.2.7", 40000)
    assert media_address(INVITE.replace(b"m=audio 40000", b"m=audio 0")) is None
    assert media_address(b"BYE sip:a@b SIP/2.0\r\n\r\n") is None


def test_redirects_contact_and_media() -> None:
    changed = redirected(INVITE, ("127.0.0.1", 7000), ("127.0.0.1", 8000))
    head, _, body = changed.partition(b"\r\n\r\n")
    assert b"Contact: <sip:caller-0x1@127.0.0.1:7000>;expires=60" in head
    assert b"Via: SIP/2.0/UDP 192.0.2.7:5062;branch=z9hG4bK1;rport" in head
    assert b"c=IN IP4 127.0.0.1\r\n" in body
    assert b"m=audio 8000 RTP/AVP 0 101\r\n" in body
    assert b"a=rtcp:" not in body
    assert b"a=sendrecv" in body
    assert b"Content-Length: %d" % len(body) in head


def test_leaves_messages_without_sound_alone() -> None:
    bye = b"BYE sip:agent@192.0.2.1 SIP/2.0\r\nCall-ID: abc\r\nContent-Length: 0\r\n\r\n"
    assert redirected(bye, ("127.0.0.1", 7000), None) == bye


def test_contact_without_user_or_port() -> None:
    message = b"SIP/2.0 200 OK\r\nContact: <sip:192.0.2.9;transport=udp>\r\n\r\n"
    assert b"<sip:127.0.0.1:7000;transport=udp>" in redirected(message, ("127.0.0.1", 7000), None)
