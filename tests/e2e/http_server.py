# SPDX-License-Identifier: BSD-3-Clause
"""An HTTP server that answers every request with one text: ADDRESS PORT TEXT.

In the text, {client} stands for the address that the request came from.
"""

import http.server
import socketserver
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    """Says its text and closes."""

    def do_GET(self):
        body = sys.argv[3].replace("{client}", self.client_address[0]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingTCPServer):
    """Plain TCP below HTTP: http.server's own would look its address up by name first."""

    allow_reuse_address = True
    request_queue_size = 128
    daemon_threads = True


Server((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
