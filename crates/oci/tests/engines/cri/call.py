"""One call of the Container Runtime Interface, as crictl and a kubelet make it.

call.py DESCRIPTORS SOCKET METHOD REQUEST: the request and the answer are JSON; DESCRIPTORS is cri.proto as
`protoc --descriptor_set_out` writes it. An error of the server's ends with 1 and its words.
"""

import sys

import grpc
from google.protobuf import descriptor_pb2, json_format, message_factory

_, descriptors, socket, method, request = sys.argv
files = descriptor_pb2.FileDescriptorSet()
with open(descriptors, "rb") as file:
    files.ParseFromString(file.read())
messages = message_factory.GetMessages(files.file)
Request, Response = (messages[f"runtime.v1.{method}{kind}"] for kind in ("Request", "Response"))

with grpc.insecure_channel(f"unix://{socket}") as channel:
    call = channel.unary_unary(
        f"/runtime.v1.RuntimeService/{method}", Request.SerializeToString, Response.FromString
    )
    try:
        answer = call(json_format.Parse(request, Request()), timeout=120)
    except grpc.RpcError as error:
        sys.exit(f"{method}: {error.details()}")
print(json_format.MessageToJson(answer, including_default_value_fields=True, indent=None))
