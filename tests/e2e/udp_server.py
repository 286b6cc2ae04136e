# SPDX-License-Identifier: BSD-3-Clause
"""A UDP server that tells each datagram's sender its size and whence it came: ADDRESS PORT."""

import socket
import sys

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[1], int(sys.argv[2])))
while True:
    data, client = server.recvfrom(65536)
    server.sendto(f"{len(data)} from {client[0]}".encode(), client)
