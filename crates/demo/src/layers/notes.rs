//! What to do, to say and to ask.

use crate::script::{Key, Script, Step, Words};

/// One image, several containers.
pub const SCRIPT: Script = Script {
    title: Words("One image, many containers", "一份镜像，许多容器"),
    minutes: 10,
    needs: Words(
        "After the lecture on images, before lab 14. Root, or user namespaces.",
        "接在镜像那一讲之后，实验 14 之前。需要 root，或者允许使用用户命名空间。",
    ),
    keys: &[
        Key('c', Words("create", "新建")),
        Key('w', Words("write", "写")),
        Key('d', Words("delete", "删除")),
        Key('o', Words("replace dir", "换目录")),
        Key('1', Words("one", "容器一")),
        Key('2', Words("two", "容器二")),
        Key('x', Words("anew", "重来")),
    ],
    steps: &[
        Step {
            key: None,
            say: Words(
                "Left, the image: it is only read. Middle, what this container has written: \
                 nothing yet. Right, what it sees. Follow a line from left to right.",
                "左边是镜像，只读。中间是这个容器写下的，现在什么也没有。右边是它看到的。顺着一条线从左看到右。",
            ),
            ask: Words(
                "The container has a root of over 1 MiB. How much of it was copied to start it?",
                "容器的根目录有 1 MiB 多。为了启动它，复制了多少？",
            ),
        },
        Step {
            key: Some('c'),
            say: Words(
                "The container makes a file. Names are looked up from the top, and writing goes \
                 to the top.",
                "容器新建一个文件。找名字从最上层找起，写也只写在最上层。",
            ),
            ask: Words(
                "In which column would you look for it on the host?",
                "在宿主机上，该到哪一列去找它？",
            ),
        },
        Step {
            key: Some('w'),
            say: Words(
                "It changes one byte of a file of the image, and the kernel copies all of it: \
                 copy-up. Look at the space it takes.",
                "它只改镜像里一个文件的一个字节，内核却把整个文件复制了上来：copy-up。看占用空间那一行。",
            ),
            ask: Words(
                "What would this byte cost in a database of 100 GB, and where should its files be?",
                "换成 100 GB 的数据库，这一个字节要付出多少？它的文件该放在哪里？",
            ),
        },
        Step {
            key: Some('w'),
            say: Words("The same byte once more.", "同一个字节，再写一次。"),
            ask: Words(
                "Why is nothing copied now? What is left of the image's file for this container?",
                "这次为什么什么也不用复制？镜像里的那份，这个容器还看得到吗？",
            ),
        },
        Step {
            key: Some('d'),
            say: Words(
                "It deletes a file of the image. The image cannot lose it, so a whiteout is put \
                 in its way.",
                "它删掉镜像里的一个文件。镜像不能少东西，于是在它前面放一个 whiteout 挡住。",
            ),
            ask: Words(
                "A Dockerfile copies a key in one layer and deletes it in the next. Is it out of \
                 the image?",
                "Dockerfile 在一层里拷进一个密钥，在下一层里删掉。它真的不在镜像里了吗？",
            ),
        },
        Step {
            key: Some('d'),
            say: Words(
                "It deletes its own file: that one is really gone.",
                "它删掉自己建的文件：这个是真的没了。",
            ),
            ask: Words(
                "Why is there a whiteout for one file, and none for the other?",
                "为什么一个留下了 whiteout，另一个没有？",
            ),
        },
        Step {
            key: Some('o'),
            say: Words(
                "It deletes a directory and makes a new one of that name. One mark, opaque, hides \
                 all that was in the old one.",
                "它删掉一个目录，再建一个同名的。一个 opaque 记号，就把旧目录里的东西全遮住了。",
            ),
            ask: Words(
                "What would be seen in the new directory without the mark?",
                "没有这个记号，新目录里会看到什么？",
            ),
        },
        Step {
            key: Some('2'),
            say: Words(
                "A second container on the same image: all is as it was.",
                "同一份镜像上的第二个容器：一切还是原样。",
            ),
            ask: Words(
                "What would a hundred containers on this image take, on the disk and in the page \
                 cache? (The image once, in both.)",
                "这份镜像上跑一百个容器，磁盘上占多少？页缓存里呢？（镜像都只有一份。）",
            ),
        },
        Step {
            key: Some('1'),
            say: Words(
                "The middle column is the difference to the image, complete, in files. \
                 \"docker commit\" packs just this, and calls it the next layer.",
                "中间这一列就是与镜像的差异，完完整整，都是文件。docker commit 打包的就是它，那便是新的一层。",
            ),
            ask: Words(
                "What must such an archive have for a deleted file? (OCI: an empty file .wh.NAME.)",
                "被删掉的文件，在这个包里要怎么表示？（OCI 的办法：一个空文件 .wh.文件名。）",
            ),
        },
        Step {
            key: Some('x'),
            say: Words(
                "The container is thrown away with its upper layer, and a new one begins.",
                "容器连同它的 upper 一起扔掉，换一个新的。",
            ),
            ask: Words(
                "Where must that be written which should outlive a container?",
                "容器没了还要留着的东西，应该写到哪里去？",
            ),
        },
    ],
};
