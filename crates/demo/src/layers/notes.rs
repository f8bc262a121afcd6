//! What to do, to say and to ask.

use crate::script::{Key, Script, Step, Words};

/// One image, several containers.
pub const SCRIPT: Script = Script {
    title: Words("One image, many containers", "一份镜像，许多容器"),
    minutes: 10,
    needs: Words(
        "After the lecture on images, before lab 14. Needs root or user namespaces.",
        "安排在镜像一讲之后、实验 14 之前。需要 root 或用户命名空间。",
    ),
    keys: &[
        Key('c', Words("create", "新建")),
        Key('w', Words("write", "写")),
        Key('d', Words("delete", "删除")),
        Key('o', Words("replace dir", "替换目录")),
        Key('1', Words("one", "容器 1")),
        Key('2', Words("two", "容器 2")),
        Key('x', Words("start over", "重新开始")),
    ],
    steps: &[
        Step {
            key: None,
            say: Words(
                "Left, the image, which is read-only. Middle, what this container has written: nothing \
                 yet. Right, what it sees. Follow a line from left to right.",
                "左边是镜像，只读。中间是这个容器写入的内容，现在还没有。右边是容器看到的内容。沿一条线从左看到右。",
            ),
            ask: Words(
                "The container's root directory has more than 1 MiB. How much was copied to start it?",
                "容器的根目录超过 1 MiB。启动时复制了多少？",
            ),
        },
        Step {
            key: Some('c'),
            say: Words(
                "The container creates a file. Names are looked up from the top layer down, and writes go to the top layer.",
                "容器新建一个文件。查找名字从最上层开始，写入也只写到最上层。",
            ),
            ask: Words(
                "In which column would you look for it on the host?",
                "在宿主机上，应该在哪一列找到它？",
            ),
        },
        Step {
            key: Some('w'),
            say: Words(
                "It changes one byte of a file of the image, and the kernel copies the whole file: \
                 copy-up. Look at the space it takes.",
                "它只修改镜像文件中的一个字节，内核却把整个文件复制到 upper：copy-up。请看占用空间一行。",
            ),
            ask: Words(
                "What would this byte cost in a 100 GB database, and where should its files be stored?",
                "如果是 100 GB 的数据库，这一个字节的代价是多少？它的文件应该放在哪里？",
            ),
        },
        Step {
            key: Some('w'),
            say: Words("The same byte again.", "同一个字节，再写一次。"),
            ask: Words(
                "Why is nothing copied now? Can this container still see the image's file?",
                "这次为什么无需复制？这个容器还能看到镜像中的那个文件吗？",
            ),
        },
        Step {
            key: Some('d'),
            say: Words(
                "It deletes a file of the image. The image is read-only, so a whiteout hides the file.",
                "它删除镜像中的一个文件。镜像是只读的，于是用 whiteout 遮盖该文件。",
            ),
            ask: Words(
                "A Dockerfile copies a secret key in one layer and deletes it in the next. Is the key still in \
                 the image?",
                "Dockerfile 在一层中复制了密钥，在下一层中删除。密钥还在镜像里吗？",
            ),
        },
        Step {
            key: Some('d'),
            say: Words(
                "It deletes its own file: this one is really gone.",
                "它删除自己创建的文件：这次文件真的不存在了。",
            ),
            ask: Words(
                "Why is there a whiteout for one file but not for the other?",
                "为什么一个文件有 whiteout，另一个没有？",
            ),
        },
        Step {
            key: Some('o'),
            say: Words(
                "It deletes a directory and creates a new one with that name. One mark, opaque, hides \
                 everything in the old one.",
                "它删除一个目录，再创建一个同名目录。一个 opaque 标记就遮盖了旧目录中的全部内容。",
            ),
            ask: Words(
                "What would the new directory show without the mark?",
                "没有这个标记，新目录里会看到什么？",
            ),
        },
        Step {
            key: Some('2'),
            say: Words(
                "A second container on the same image: everything is as it was at first.",
                "同一份镜像上的第二个容器：一切都是最初的样子。",
            ),
            ask: Words(
                "How much would a hundred containers on this image take, on disk and in the page cache? \
                 (The image once, in both.)",
                "在这份镜像上运行一百个容器，占多少磁盘和页缓存？（镜像在两处都只有一份。）",
            ),
        },
        Step {
            key: Some('1'),
            say: Words(
                "The middle column is the complete difference from the image, as files. \
                 \"docker commit\" packs exactly this as the next layer.",
                "中间一列就是与镜像的全部差异，以文件形式存在。docker commit 打包的就是它，作为新的一层。",
            ),
            ask: Words(
                "How does such an archive represent a deleted file? (OCI: an empty file .wh.NAME.)",
                "这样的归档怎样表示被删除的文件？（OCI：一个空文件 .wh.文件名。）",
            ),
        },
        Step {
            key: Some('x'),
            say: Words(
                "The container is removed with its upper layer, and a new one starts.",
                "容器连同它的 upper 一起删除，启动一个新的。",
            ),
            ask: Words(
                "Where must data be written that should outlive the container?",
                "容器删除后仍要保留的数据，应该写到哪里？",
            ),
        },
    ],
    cases: &[],
};
