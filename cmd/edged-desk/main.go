// Command edged-desk is what of edged the warning does not need: the technician's
// commands, and the box's children that draw what is printed and play rules over
// history. It lies beside edged, which goes on as this program for every command but
// run; people type edged. It speaks with the running box over its local socket, with the
// same API, roles and audit as the page, and never with a line or a siren by itself
// (scan and record ask lines of which no box is the owner).
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"

	"tocsin/firmware/guard"
	"tocsin/firmware/serve/paper/pdf"
	"tocsin/firmware/station"
)

type cli struct {
	Globals

	Run          RunCmd          `cmd:"" help:"运行本站 · Run the box"`
	Check        CheckCmd        `cmd:"" help:"检查站点文件 · Check a site file and print the worst delays"`
	Read         ReadCmd         `cmd:"" help:"查看读数 · Show the points now"`
	Status       StatusCmd       `cmd:"" help:"查看状态 · Show the box at a glance"`
	People       PeopleCmd       `cmd:"" help:"查看到了级别叫谁、叫到哪一步 · Show who is told by telephone, and how far that is"`
	Alarms       AlarmsCmd       `cmd:"" help:"查看警报 · Show the alarms"`
	Stop         StopCmd         `cmd:"" help:"立即静音 · Silence what sounds now"`
	Ack          AckCmd          `cmd:"" help:"签收警报 · Take an alarm in hand"`
	Release      ReleaseCmd      `cmd:"" help:"解除警报 · Give the all-clear"`
	Talk         TalkCmd         `cmd:"" help:"用扬声器放一段录音喊话 · Speak by the loudspeakers"`
	Raise        RaiseCmd        `cmd:"" help:"人工启动 · Raise a level by hand"`
	Set          SetCmd          `cmd:"" help:"查看或设定设备的设定值、继电器 · Show or set what people may set on devices"`
	Config       ConfigCmd       `cmd:"" help:"查看、改动、恢复配置 · Show, change and restore the configuration"`
	Journal      JournalCmd      `cmd:"" help:"查看日志 · Show the journal"`
	Alert        AlertCmd        `cmd:"" help:"上级预警：核验、签名、上报 · Warnings from outside: check, sign, hand in"`
	Command      CommandCmd      `cmd:"" help:"签名指令：签发、复核、上报 · Signed commands: sign, release, hand in"`
	Links        LinksCmd        `cmd:"" help:"查看通往县里的链路和待发消息 · Show the links to the county and what waits for them"`
	History      HistoryCmd      `cmd:"" help:"查看或导出历史数据 · Show or export what was measured"`
	Key          KeyCmd          `cmd:"" help:"查看本机的站号和公钥 · Show this box's names and public key"`
	Scan         ScanCmd         `cmd:"" help:"搜索线上的设备 · Search a line for units"`
	Cameras      CamerasCmd      `cmd:"" help:"搜索本站网络上的摄像机（ONVIF） · Find the cameras of the site's network"`
	Frames       FramesCmd       `cmd:"" help:"查看线上的帧 · Show the frames of a line with their meaning"`
	Record       RecordCmd       `cmd:"" help:"录制设备文件的证明，或新建设备文件 · Record proof for a profile, or make a new one"`
	Bundle       BundleCmd       `cmd:"" help:"导出诊断包，不含密钥和口令 · Fetch the support bundle: logs, configuration, journal, no secrets"`
	BlackBox     BlackBoxCmd     `cmd:"" name:"blackbox" help:"读出黑匣子：出事前几分钟的日志、测值、帧 · Print the black box: log, values and frames of the last minutes"`
	User         UserCmd         `cmd:"" help:"网页账号：添加、改角色、重设密码 · Who may sign in on the page"`
	Label        LabelCmd        `cmd:"" help:"打印盒子标签和开通二维码 · Print the unit's label with the code that sets it up"`
	Audit        AuditCmd        `cmd:"" help:"谁改了什么；核验有没有被篡改 · Who changed what, and whether that was tampered with"`
	Update       UpdateCmd       `cmd:"" help:"升级本机软件；为什么退回 · Replace the software; why it was taken back"`
	FactoryReset FactoryResetCmd `cmd:"" name:"factory-reset" help:"恢复出厂：先按住盒子上的按钮十秒，再输盒子里印的密钥；原有数据另存，不删 · Make the box as it came: hold its button for ten seconds, then give the secret that is printed inside; what it keeps is set aside"`
	Version      VersionCmd      `cmd:"" help:"版本 · Show the version"`
}

func main() {
	if err := guard.ApplyCaps(); err != nil {
		fmt.Fprintln(os.Stderr, "edged:", err)
		os.Exit(1)
	}
	if len(os.Args) == 2 {
		if child := children[os.Args[1]]; child != nil {
			if err := child(os.Stdin, os.Stdout); err != nil {
				fmt.Fprintln(os.Stderr, "edged-desk:", err)
				os.Exit(1)
			}
			return
		}
	}
	var c cli
	p := kong.Must(&c, kong.Name("edged"), kong.Description("Tocsin 警钟：现场预警站 · the warning box on the pole"))
	k, err := p.Parse(os.Args[1:])
	if err != nil {
		os.Exit(badUsage(&c.Globals, os.Stderr, err))
	}
	err = k.Run(&c.Globals)
	if err == nil {
		return
	}
	var code exitCode
	if errors.As(err, &code) {
		os.Exit(int(code))
	}
	os.Exit(fail(&c.Globals, os.Stderr, err))
}

// children are what a box starts, in processes of their own under the caps that it gave
// them. They are not for people.
var children = map[string]func(io.Reader, io.Writer) error{
	station.DrawWord: pdf.Draw,
	station.DryWord:  station.PlayRules,
}

// exitCode ends the program with a code, its message having been printed.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit %d", int(e)) }
