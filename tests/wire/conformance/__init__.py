"""What RFC 9110, RFC 9112 and some CVEs ask of a file server, each as a request and a judgement."""
